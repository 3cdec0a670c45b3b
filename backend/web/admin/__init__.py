"""/admin/: every record in tables, for admins only, by Flask-Admin with templates of our own: no script.

Flask-Admin's own session only reads. Each change goes the way that API and pages go: the same rules hold, and the audit
log has it.
"""

import secrets

from flask import Flask
from flask_admin import Admin, AdminIndexView
from sqlalchemy.orm import sessionmaker

from ...accounts import access
from ...accounts.actor import Role
from ...accounts.guard import Guard
from ...database import Database
from . import devices, log, people, programs, rules
from .records import Reading


def register(app: Flask, database: Database, guard: Guard) -> None:
    """To be called before access.check()."""
    # It signs nothing but the one sentence that Flask-Admin shows after a change.
    app.secret_key = secrets.token_bytes(32)
    app.config |= {
        "SESSION_COOKIE_NAME": "thermograph-told",
        "SESSION_COOKIE_SECURE": guard.secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }
    reading = Reading(sessionmaker(database.engine))
    app.teardown_request(lambda _error: reading.remove())
    admin = Admin(app, name="Admin", index_view=AdminIndexView(template="admin/front.html"))
    for view in (
        people.Users(reading, database, guard),
        people.Sessions(reading, database, guard),
        programs.Keys(reading, database, guard),
        programs.RefreshTokens(reading, database, guard),
        devices.Devices(reading, database, guard),
        rules.Rules(reading, database, guard),
        log.AuditLog(reading, database, guard),
    ):
        admin.add_view(view)
    access.cover(app, "admin.", Role.ADMIN)
    access.cover(app, "admin_", Role.ADMIN)
