"""Accounts with their roles and places, and their sessions."""

import json
from typing import Any

from flask_admin.form import BaseForm
from wtforms import BooleanField, PasswordField, SelectField, StringField, TextAreaField, validators

from ...accounts import access, audit, passwords, sessions, users
from ...accounts.actor import Role
from ...accounts.tables import SessionRow, UserRow
from .records import Records

ROLES = [role.word for role in Role]


class EditUser(BaseForm):
    role = SelectField("Role", choices=ROLES)
    places = TextAreaField("Places, one a line; empty: all", [validators.Length(max=20_000)])
    # Not "password": the form would be filled with what the row has of that name, the hash.
    new_password = PasswordField("New password; empty: as it is", [validators.Length(max=256)])
    disabled = BooleanField("May not sign in")


class NewUser(BaseForm):
    name = StringField("Name", [validators.InputRequired(), validators.Length(max=64)])
    role = SelectField("Role", choices=ROLES)
    places = TextAreaField("Places, one a line; empty: all", [validators.Length(max=20_000)])
    password = PasswordField("Password", [validators.InputRequired(), validators.Length(max=256)])


class Users(Records):
    table, title, times = UserRow, "Accounts", ("created", "disabled_at", "totp_since")
    about = "Viewers read, operators also change rules and devices, admins do everything. Places limit what is seen."
    can_create = can_edit = can_delete = True
    column_list = ("name", "role", "places", "created", "disabled_at", "totp_since")
    column_labels = {"disabled_at": "Disabled since", "totp_since": "Codes since"}  # noqa: RUF012 - Flask-Admin's form
    column_searchable_list = ("name",)
    column_default_sort = "name"

    def formatters(self) -> dict[str, Any]:
        return {"places": lambda _view, _context, row, _column: ", ".join(_places(row)) or "all"}

    def get_create_form(self) -> type[BaseForm]:
        return NewUser

    def get_edit_form(self) -> type[BaseForm]:
        return EditUser

    def on_form_prefill(self, form: Any, id: Any) -> None:
        row = self.get_one(id)
        form.places.data = "\n".join(_places(row))
        form.disabled.data = row.disabled_at is not None

    def create_model(self, form: Any) -> Any:
        def work(connection: Any) -> None:
            name = users.normal_name(form.name.data)
            passwords.check_choice(form.password.data, name)
            hashed = self.guard.passwords.hash(form.password.data)
            role = Role.named(form.role.data)
            users.add(connection, access.actor(), name, role, hashed, _lines(form.places.data))

        return self.attempt(work)

    def update_model(self, form: Any, model: Any) -> bool:
        user_id, chosen = model.id, form.new_password.data or ""

        def work(connection: Any) -> None:
            user = users.by_id(connection, user_id)
            if chosen:
                passwords.check_choice(chosen, user.name)
                users.set_password(connection, access.actor(), user, self.guard.passwords.hash(chosen))
            places, disabled = _lines(form.places.data), bool(form.disabled.data)
            role = Role.named(form.role.data)
            users.change(connection, access.actor(), user, role=role, places=places, disabled=disabled)

        return self.attempt(work)

    def delete_model(self, model: Any) -> bool:
        user_id = model.id
        return self.attempt(lambda c: users.remove(c, access.actor(), users.by_id(c, user_id)))


class Sessions(Records):
    table, title, word, times = SessionRow, "Sessions", "Sign out", ("created", "seen")
    about = "Browsers that are signed in."
    can_delete = True
    column_list = ("user_id", "created", "seen", "address", "agent")
    column_labels = {"user_id": "Account", "seen": "Last used"}  # noqa: RUF012 - Flask-Admin's form
    column_default_sort = ("seen", True)

    def formatters(self) -> dict[str, Any]:
        return {"user_id": lambda _view, _context, row, _column: self.account_name(row)}

    def delete_model(self, model: Any) -> bool:
        session_id, subject = model.id, f"account {self.account_name(model)}"

        def work(connection: Any) -> None:
            sessions.end(connection, session_id)
            audit.note(connection, access.actor(), "session.end", subject, None, None)

        return self.attempt(work)


def _places(row: Any) -> list[str]:
    return [] if row.places is None else list(json.loads(row.places))


def _lines(text: str | None) -> list[str] | None:
    return [line.strip() for line in (text or "").splitlines() if line.strip()] or None
