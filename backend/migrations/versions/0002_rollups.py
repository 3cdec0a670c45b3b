"""rollups of 5 minutes, an hour and a day; readings without foreign keys, which cost as much as the rows"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WIDTHS = (300_000, 3_600_000, 86_400_000)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _copy_readings()
    else:
        # PostgreSQL and MySQL name them each in its own way.
        for key in sa.inspect(op.get_bind()).get_foreign_keys("readings"):
            op.drop_constraint(str(key["name"]), "readings", type_="foreignkey")
    op.create_table(
        "rollups",
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("faults", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
        ),
        sa.PrimaryKeyConstraint("channel_id", "width", "start"),
        sqlite_with_rowid=False,
    )
    for width in WIDTHS:
        # Times are positive. Not t / width * width: MySQL divides integers to a fraction.
        op.execute(
            "INSERT INTO rollups (channel_id, width, start, first, last, low, high, total, count, faults)"  # noqa: S608
            f" SELECT channel_id, {width}, t - t % {width}, min(t), max(t), min(value), max(value),"
            " coalesce(sum(value), 0), count(value), count(fault)"
            f" FROM readings GROUP BY channel_id, t - t % {width}"
        )


def _copy_readings() -> None:
    """SQLite cannot drop a foreign key."""
    op.create_table(
        "readings_without_keys",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("tq", sa.String(length=9), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO readings_without_keys SELECT * FROM readings")
    op.drop_table("readings")
    op.rename_table("readings_without_keys", "readings")
    op.create_index("readings_by_channel", "readings", ["channel_id", "t"])


def downgrade() -> None:
    # Readings keep what they have: the foreign keys only checked what is so anyway.
    op.drop_table("rollups")
