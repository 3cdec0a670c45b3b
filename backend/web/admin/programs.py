"""Keys and refresh tokens of programs: seen and revoked here, made by whom they belong to."""

import json
from typing import Any

from sqlalchemy import delete

from ...accounts import access, audit, keys
from ...accounts.tables import ApiKey, RefreshToken
from .records import Records


class Keys(Records):
    table, title, word, times = ApiKey, "Keys", "Revoke", ("created", "expires", "used", "revoked_at")
    about = "Each was shown once, to whom it belongs; kept is only what it can be compared with."
    can_delete = True
    column_list = ("name", "prefix", "user_id", "scopes", "created", "expires", "used", "revoked_at")
    column_labels = {"user_id": "Account", "used": "Last used", "revoked_at": "Revoked"}  # noqa: RUF012 - Flask-Admin's form
    column_searchable_list = ("name", "prefix")
    column_default_sort = ("id", True)

    def formatters(self) -> dict[str, Any]:
        return {
            "user_id": lambda _view, _context, row, _column: self.account_name(row),
            "scopes": lambda _view, _context, row, _column: ", ".join(json.loads(row.scopes)),
        }

    def delete_model(self, model: Any) -> bool:
        key_id = model.id
        return self.attempt(lambda connection: keys.revoke(connection, access.actor(), key_id))


class RefreshTokens(Records):
    table, title, word = RefreshToken, "Tokens", "End its family"
    times = ("created", "expires", "used_at", "revoked_at")
    about = (
        "Programs that signed in with a name and a password. Each token is exchanged once for the next of its family."
    )
    can_delete = True
    column_list = ("user_id", "family", "created", "expires", "used_at", "revoked_at")
    column_labels = {"user_id": "Account", "used_at": "Exchanged", "revoked_at": "Ended"}  # noqa: RUF012 - Flask-Admin's form
    column_default_sort = ("id", True)

    def formatters(self) -> dict[str, Any]:
        return {"user_id": lambda _view, _context, row, _column: self.account_name(row)}

    def delete_model(self, model: Any) -> bool:
        family, subject = model.family, f"account {self.account_name(model)}"

        def work(connection: Any) -> None:
            connection.execute(delete(RefreshToken).where(RefreshToken.family == family))
            audit.note(connection, access.actor(), "token.revoke", subject, {"family": family[:8]}, None)

        return self.attempt(work)
