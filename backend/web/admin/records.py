"""What all tables of the admin site have in common: they show, and hand every change to a function of ours."""

from collections.abc import Callable
from typing import Any

from flask import flash
from flask_admin.contrib.sqla import ModelView
from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from ...accounts.guard import Guard
from ...accounts.tables import UserRow
from ...alerts.sentence import moment
from ...database import Database
from ...errors import ThermographError
from ...models import Table


class Reading(scoped_session[Session]):
    """The session that tables are read by. Flask-Admin wants it as an attribute of something."""

    @property
    def session(self) -> "Reading":
        return self


class Records(ModelView):
    """Nothing can be made, changed or removed unless a table says so. word: what its button for that says."""

    table: type[Table]
    title = ""
    word = "Remove"
    about = ""
    times: tuple[str, ...] = ()

    can_create = can_edit = can_delete = False
    can_export = can_set_page_size = False
    page_size = 50
    list_template = "admin/records.html"
    create_template = edit_template = "admin/record.html"
    action_disallowed_list = ("delete",)

    def __init__(self, reading: Reading, database: Database, guard: Guard) -> None:
        self.database = database
        self.guard = guard
        self.column_formatters = {**self.formatters(), **dict.fromkeys(self.times, _time)}
        name = self.table.__tablename__
        super().__init__(self.table, reading, name=self.title, endpoint=f"admin_{name}", url=f"/admin/{name}")

    def formatters(self) -> dict[str, Any]:
        """Column → (view, context, row, column) → text, for those that are no time."""
        return {}

    def account_name(self, row: Any) -> str:
        found = self.session.get(UserRow, row.user_id)
        return found.name if found else "?"

    def attempt(self, work: Callable[[Connection], object]) -> bool:
        """Do it in one transaction; False when it was refused, and the person was told why."""
        # What was read for the form must not hold an older state of the same rows.
        self.session.rollback()
        try:
            with self.database.write() as connection:
                work(connection)
        except ThermographError as error:
            flash(f"{error.message} {error.advice}".strip(), "error")
            return False
        return True


def _time(_view: Any, _context: Any, row: Any, column: str) -> str:
    found = getattr(row, column)
    return moment(found) if found else ""
