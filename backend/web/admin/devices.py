"""Devices: what people call them, where they stand, and whether somebody has confirmed them."""

from typing import Any

from flask_admin.form import BaseForm
from sqlalchemy import update
from wtforms import BooleanField, StringField, TextAreaField, validators

from ...accounts import access, audit
from ...models import Device, Progress
from .records import Records

FIELDS = ("label", "place", "note", "enrolled")


class EditDevice(BaseForm):
    label = StringField("Label", [validators.Length(max=120)])
    place = StringField("Place", [validators.Length(max=120)])
    note = TextAreaField("Note", [validators.Length(max=2_000)])
    enrolled = BooleanField("Confirmed")


class Devices(Records):
    table, title, times = Device, "Devices", ("created", "status_at")
    about = "The record of a device stays as long as its readings do."
    can_edit = True
    column_list = ("name", "label", "place", "enrolled", "created", "status", "status_at")
    column_labels = {"enrolled": "Confirmed", "status_at": "Since"}  # noqa: RUF012 - Flask-Admin's form
    column_searchable_list = ("name", "label", "place")
    column_default_sort = "name"

    def get_edit_form(self) -> type[BaseForm]:
        return EditDevice

    def update_model(self, form: Any, model: Any) -> bool:
        name = model.name
        before = {field: getattr(model, field) for field in FIELDS}
        after = {field: getattr(form, field).data or None for field in FIELDS[:3]} | {"enrolled": form.enrolled.data}

        def work(connection: Any) -> None:
            connection.execute(update(Device).where(Device.name == name).values(after))
            connection.execute(update(Progress).values(commit=Progress.commit + 1))
            audit.note(connection, access.actor(), "device.change", f"device {name}", before, after)

        return before == after or self.attempt(work)
