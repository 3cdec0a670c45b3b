"""Alembic's entry: runs the migrations on the connection that database.py hands over."""

from alembic import context

from backend.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
