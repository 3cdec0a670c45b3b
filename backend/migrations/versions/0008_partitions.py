"""readings in monthly partitions on PostgreSQL, and a word to listeners at each commit; which database this is

Only PostgreSQL's tables change their form. `progress.history` is new everywhere: a random name of this history of
commits, by which what was kept elsewhere about another database (Redis) is told apart.
"""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As in backend/partitions.py, which goes on from here: months ahead, and readings that are worth a table.
AHEAD = 2
WORTH = 100_000
COLUMNS = """
    stream_id bigint NOT NULL, seq bigint NOT NULL, channel_id bigint NOT NULL, t bigint NOT NULL,
    tq varchar(9) NOT NULL, value double precision, fault varchar(32), received bigint NOT NULL"""
TELL = """
    CREATE FUNCTION thermograph_tell_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('thermograph_commit', NEW.commit_number::text);
        RETURN NULL;
    END $$"""


def upgrade() -> None:
    op.add_column("progress", sa.Column("history", sa.String(32), nullable=False, server_default=""))
    op.execute(sa.text("UPDATE progress SET history = :history").bindparams(history=uuid.uuid4().hex))
    if op.get_bind().dialect.name == "postgresql":
        _partition()
        op.execute(TELL)
        op.execute(
            "CREATE TRIGGER tell_commit AFTER UPDATE OF commit_number ON progress"
            " FOR EACH ROW EXECUTE FUNCTION thermograph_tell_commit()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER tell_commit ON progress")
        op.execute("DROP FUNCTION thermograph_tell_commit()")
        _join()
    with op.batch_alter_table("progress") as batch_op:
        batch_op.drop_column("history")


def _partition() -> None:
    op.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
    months = _months()
    op.execute("ALTER TABLE readings RENAME TO readings_before")
    op.execute("ALTER INDEX readings_pkey RENAME TO readings_before_pkey")
    op.execute("DROP INDEX readings_by_channel")
    op.execute(f"CREATE TABLE readings ({COLUMNS}) PARTITION BY RANGE (t)")
    for year, month in months:
        since, until = _start(year, month), _start(*_after(year, month))
        op.execute(
            f"CREATE TABLE readings_{year:04}_{month:02} PARTITION OF readings (PRIMARY KEY (stream_id, seq))"
            f" FOR VALUES FROM ({since}) TO ({until})"
        )
    op.execute("CREATE TABLE readings_rest PARTITION OF readings (PRIMARY KEY (stream_id, seq)) DEFAULT")
    op.execute("INSERT INTO readings SELECT * FROM readings_before")
    op.execute("DROP TABLE readings_before")
    # Made last: to build an index is quicker than to keep it.
    op.execute("CREATE INDEX readings_by_channel ON readings (channel_id, t)")


def _join() -> None:
    op.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
    op.execute("ALTER TABLE readings RENAME TO readings_in_months")
    op.execute("ALTER INDEX readings_by_channel RENAME TO readings_in_months_by_channel")
    op.execute(f"CREATE TABLE readings ({COLUMNS})")
    op.execute("INSERT INTO readings SELECT * FROM readings_in_months")
    op.execute("ALTER TABLE readings ADD PRIMARY KEY (stream_id, seq)")
    op.execute("DROP TABLE readings_in_months")
    op.execute("CREATE INDEX readings_by_channel ON readings (channel_id, t)")


def _months() -> list[tuple[int, int]]:
    """This month and those ahead; and those that hold many readings."""
    now = datetime.now(UTC)
    found = {(now.year, now.month)}
    last = (now.year, now.month)
    for _ in range(AHEAD):
        last = _after(*last)
        found.add(last)
    crowded = op.get_bind().execute(
        sa.text(
            "SELECT min(t) FROM readings"
            " GROUP BY date_trunc('month', to_timestamp(t / 1000.0) AT TIME ZONE 'UTC') HAVING count(*) >= :worth"
        ).bindparams(worth=WORTH)
    )
    for t in crowded.scalars():
        at = datetime.fromtimestamp(t / 1000, UTC)
        found.add((at.year, at.month))
    return sorted(found)


def _after(year: int, month: int) -> tuple[int, int]:
    return (year, month + 1) if month < 12 else (year + 1, 1)


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000
