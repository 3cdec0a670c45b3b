"""Rules: turned on and off, and removed; the alerts page is where they are written."""

from typing import Any

from flask_admin.form import BaseForm
from wtforms import BooleanField

from ...accounts import access, audit
from ...alerts import rules
from ...alerts.tables import AlertRule
from .records import Records


class EditRule(BaseForm):
    enabled = BooleanField("Watches")


class Rules(Records):
    table, title, times = AlertRule, "Rules", ("created",)
    about = "What they say is changed on the alerts page. A rule that is removed takes its episodes with it."
    can_edit = can_delete = True
    column_list = ("name", "enabled", "revision", "created")
    column_labels = {"enabled": "Watches"}  # noqa: RUF012 - Flask-Admin's form
    column_searchable_list = ("name",)
    column_default_sort = "name"

    def get_edit_form(self) -> type[BaseForm]:
        return EditRule

    def update_model(self, form: Any, model: Any) -> bool:
        rule_id, wanted, before = model.id, bool(form.enabled.data), {"name": model.name, "enabled": model.enabled}

        def work(connection: Any) -> None:
            rules.enable(connection, rule_id, wanted)
            audit.note(
                connection, access.actor(), "rule.change", f"rule {rule_id}", before, {**before, "enabled": wanted}
            )

        return self.attempt(work)

    def delete_model(self, model: Any) -> bool:
        rule_id, before = model.id, {"name": model.name, "body": model.body}

        def work(connection: Any) -> None:
            rules.remove_rule(connection, rule_id)
            audit.note(connection, access.actor(), "rule.remove", f"rule {rule_id}", before, None)

        return self.attempt(work)
