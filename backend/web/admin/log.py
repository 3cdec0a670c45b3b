"""The audit log: read, and never changed; the database refuses it too."""

from ...accounts.tables import AuditRow
from .records import Records


class AuditLog(Records):
    table, title, times = AuditRow, "Audit log", ("at",)
    about = "Who changed what, before and after. Nobody can change it, admins included."
    column_list = ("at", "actor", "credential", "action", "subject", "before", "after")
    column_labels = {"at": "When", "actor": "Who", "credential": "With"}  # noqa: RUF012 - Flask-Admin's form
    column_searchable_list = ("actor", "action", "subject")
    column_default_sort = ("id", True)
