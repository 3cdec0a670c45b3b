"""alerts: snoozing, escalation, rules on a device's health, tests of targets"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# SQLite gives a primary key its rowid only when the type is exactly INTEGER.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EPISODES = ("noticed_at", "snoozed_until", "snoozed_by", "snoozes", "reminded", "escalated_at")
TARGETS = ("removed_at", "tested_at", "test_outcome")


def upgrade() -> None:
    _add_to_targets()
    _add_to_episodes()
    op.create_table(
        "health_samples",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("uptime", sa.BigInteger(), nullable=True),
        sa.Column("rssi", sa.Integer(), nullable=True),
        sa.Column("free", sa.BigInteger(), nullable=True),
        sa.Column("outbox", sa.Double(), nullable=True),
        sa.Column("restarts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("device_id", "t"),
    )
    _make_rules_anew(
        nullable=True,
        more=(
            sa.Column("device_id", ID, nullable=True),
            sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"),
            sa.Column("escalate_after", sa.BigInteger(), nullable=False, server_default="0"),
            sa.Column("escalate_to", sa.String(255), nullable=False, server_default="[]"),
        ),
    )
    op.execute("UPDATE alert_rules SET changed = created")


def downgrade() -> None:
    rules = "SELECT id FROM alert_rules WHERE channel_id IS NULL"
    op.execute(
        f"DELETE FROM notices WHERE episode_id IN (SELECT id FROM episodes WHERE rule_id IN ({rules}))"  # noqa: S608
    )
    for table in ("episodes", "alert_marks", "alert_checkpoints"):
        op.execute(f"DELETE FROM {table} WHERE rule_id IN ({rules})")  # noqa: S608
    op.execute("DELETE FROM alert_rules WHERE channel_id IS NULL")
    _make_rules_anew(nullable=False, more=())
    op.drop_table("health_samples")
    for table, columns in (("episodes", EPISODES), ("alert_targets", TARGETS)):
        for column in columns:
            op.drop_column(table, column)


def _add_to_targets() -> None:
    op.add_column("alert_targets", sa.Column("removed_at", sa.BigInteger(), nullable=True))
    op.add_column("alert_targets", sa.Column("tested_at", sa.BigInteger(), nullable=True))
    op.add_column("alert_targets", sa.Column("test_outcome", sa.Text(), nullable=True))


def _add_to_episodes() -> None:
    op.add_column("episodes", sa.Column("noticed_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("episodes", sa.Column("snoozed_until", sa.BigInteger(), nullable=True))
    op.add_column("episodes", sa.Column("snoozed_by", sa.String(120), nullable=True))
    op.add_column("episodes", sa.Column("snoozes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("episodes", sa.Column("reminded", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("episodes", sa.Column("escalated_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE episodes SET noticed_at = raised")


def _make_rules_anew(nullable: bool, more: tuple[sa.Column, ...]) -> None:
    """channel_id may be null, or may not; with these columns more, or without them again."""
    if op.get_bind().dialect.name == "sqlite":
        _copy_rules(nullable, more)
        return
    op.alter_column("alert_rules", "channel_id", existing_type=sa.BigInteger(), nullable=nullable)
    if more:
        for column in more:
            op.add_column("alert_rules", column)
        op.create_foreign_key("alert_rules_device", "alert_rules", "devices", ["device_id"], ["id"])
        op.create_index(op.f("ix_alert_rules_device_id"), "alert_rules", ["device_id"])
    else:
        op.drop_constraint("alert_rules_device", "alert_rules", type_="foreignkey")
        op.drop_index(op.f("ix_alert_rules_device_id"), table_name="alert_rules")
        for name in ("device_id", "changed", "escalate_after", "escalate_to"):
            op.drop_column("alert_rules", name)


def _copy_rules(nullable: bool, more: tuple[sa.Column, ...]) -> None:
    # SQLite changes no column: the table is made anew, while what refers to it waits for the commit to be checked.
    kept = "id, channel_id, name, body, targets, enabled, revision, created"
    op.execute("PRAGMA defer_foreign_keys=ON")
    op.execute(f"CREATE TEMPORARY TABLE rules_before AS SELECT {kept} FROM alert_rules")  # noqa: S608
    op.drop_table("alert_rules")
    op.create_table(
        "alert_rules",
        sa.Column("id", ID, nullable=False),
        sa.Column("channel_id", ID, nullable=nullable),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"]),
        *([sa.ForeignKeyConstraint(["device_id"], ["devices.id"])] if more else []),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_alert_rules_channel_id"), "alert_rules", ["channel_id"])
    if more:
        op.create_index(op.f("ix_alert_rules_device_id"), "alert_rules", ["device_id"])
    op.execute(f"INSERT INTO alert_rules ({kept}) SELECT {kept} FROM rules_before")  # noqa: S608
    op.execute("DROP TABLE rules_before")
