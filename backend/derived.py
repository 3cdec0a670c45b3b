"""What can be made anew out of the readings, when all of them are in SQL: rollups and newest readings."""

from sqlalchemy import Connection, delete, func, select, text

from . import rollup
from .database import upsert
from .models import Newest, Progress, Reading, Rollup


def write_rollups(connection: Connection) -> None:
    """Every rollup: the narrowest buckets out of the readings, each wider one out of the narrower ones."""
    connection.execute(delete(Rollup))
    columns = "channel_id, width, start, first, last, low, high, total, count, faults"
    least, *wider = rollup.WIDTHS
    connection.execute(
        text(
            f"INSERT INTO rollups ({columns})"  # noqa: S608 - numbers of our own
            f" SELECT channel_id, {least}, t - t % {least}, min(t), max(t), min(value), max(value),"
            " coalesce(sum(value), 0), count(value), count(fault)"
            f" FROM readings GROUP BY channel_id, t - t % {least}"
        )
    )
    for narrow, width in zip(rollup.WIDTHS, wider, strict=False):
        connection.execute(
            text(
                f"INSERT INTO rollups ({columns})"  # noqa: S608 - numbers of our own
                f" SELECT channel_id, {width}, start - start % {width}, min(first), max(last), min(low), max(high),"
                f" sum(total), sum(count), sum(faults) FROM rollups WHERE width = {narrow}"
                f" GROUP BY channel_id, start - start % {width}"
            )
        )


def write_newest(connection: Connection) -> None:
    """Of each channel the highest seq of its newest stream: as ingest decides it."""
    last = (
        select(Reading.stream_id, func.max(Reading.seq).label("seq"))
        .group_by(Reading.channel_id, Reading.stream_id)
        .subquery()
    )
    rows = connection.execute(
        select(*Reading.__table__.columns)
        .join(last, (last.c.stream_id == Reading.stream_id) & (last.c.seq == Reading.seq))
        .order_by(Reading.t)
    )
    number = connection.execute(select(Progress.commit)).scalar_one()
    newest = {row.channel_id: {**row._mapping, "commit_number": number} for row in rows}
    if newest:
        upsert(connection, Newest, list(newest.values()))
