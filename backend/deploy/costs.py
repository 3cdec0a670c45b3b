"""python -m backend.deploy.costs: what a fleet costs on AWS in a month, with the arithmetic.

Prices are Amazon's list prices on demand in us-east-1, in US dollars, without taxes, free tiers and reservations.
They change: compare them with Amazon's price list before you rely on them. The README's table is this program's output.
"""

import dataclasses
import math

import click

HOURS = 730
DAYS = 30.4

# Dollars an hour.
MACHINES = {"t4g.small": 0.0168, "t4g.medium": 0.0336, "m7g.xlarge": 0.1632}
DATABASES = {"db.t4g.micro": 0.016, "db.t4g.medium": 0.065, "db.m7g.xlarge": 0.337}
ADDRESS = 0.005
# Dollars a GB and month.
EBS, RDS, S3_STANDARD, S3_INFREQUENT, S3_GLACIER_INSTANT = 0.08, 0.115, 0.023, 0.0125, 0.004
# Dollars each.
SECRET, ALARM, METRIC = 0.40, 0.10, 0.30
PUT, LOG_GB, OUT_GB = 0.005 / 1000, 0.50, 0.09

# What a device does: two channels, a reading of each a minute, one message with both.
READINGS_A_DAY = 2 * 24 * 60
MESSAGES_A_DAY = 24 * 60
# Bytes: measured with this project (Parquet 3.3, DESIGN.md 8), or estimated generously (a row and its index; an ack).
ROW, ARCHIVED, ACK, LOG_A_DAY = 120, 3.3, 150, 2_000_000
ROWS_AN_OBJECT, SECONDS_AN_OBJECT = 50_000, 300
# The template's: alarms, and metrics of its own.
ALARMS, METRICS = 6, 4


@dataclasses.dataclass(frozen=True)
class Fleet:
    """devices: how many. data: GB of the host's data volume. hot_days: the parameter HotDays."""

    devices: int
    machine: str
    database: str
    data: int
    hot_days: int


FLEETS = (
    Fleet(10, "t4g.small", "db.t4g.micro", 20, 90),
    Fleet(1_000, "t4g.medium", "db.t4g.medium", 20, 90),
    Fleet(100_000, "m7g.xlarge", "db.m7g.xlarge", 100, 7),
)


@dataclasses.dataclass(frozen=True)
class Item:
    """One line of the bill: dollars a month, and how they come about."""

    name: str
    arithmetic: str
    dollars: float


def database_gb(fleet: Fleet) -> int:
    """GB of PostgreSQL: the hot window and a fifth to spare, at least the 20 that Amazon sells."""
    return max(20, math.ceil(fleet.devices * READINGS_A_DAY * fleet.hot_days * ROW * 1.2 / 1e9))


def objects_a_day(fleet: Fleet) -> int:
    """Objects of the archive: one when enough readings wait or enough time has passed, whichever is first."""
    return math.ceil(max(fleet.devices * READINGS_A_DAY / ROWS_AN_OBJECT, 86_400 / SECONDS_AN_OBJECT))


def archive_gb(fleet: Fleet) -> float:
    """GB that the archive grows by in a year."""
    return fleet.devices * READINGS_A_DAY * 365 * ARCHIVED / 1e9


def bill(fleet: Fleet) -> list[Item]:
    """A month's bill when the archive is a year old."""
    disk, hot, year = 12 + fleet.data, database_gb(fleet), archive_gb(fleet)
    puts = objects_a_day(fleet) * DAYS
    out = fleet.devices * MESSAGES_A_DAY * DAYS * ACK / 1e9
    logs = LOG_A_DAY * DAYS / 1e9
    machine, database = MACHINES[fleet.machine], DATABASES[fleet.database]
    # 60 days in Standard, 120 in Infrequent Access, the other half of the year in Glacier Instant Retrieval. Small
    # objects (below 128 kB) are never moved by Amazon.
    moves = year / objects_a_day(fleet) / 365 * 1e6 >= 128
    price = (60 * S3_STANDARD + 120 * S3_INFREQUENT + 185 * S3_GLACIER_INSTANT) / 365 if moves else S3_STANDARD
    return [
        Item(f"host {fleet.machine}", f"{HOURS} h x {machine}", HOURS * machine),
        Item("its disks", f"{disk} GB x {EBS}", disk * EBS),
        Item("address", f"{HOURS} h x {ADDRESS}", HOURS * ADDRESS),
        Item(f"PostgreSQL {fleet.database}", f"{HOURS} h x {database}", HOURS * database),
        Item(f"its {fleet.hot_days} hot days", f"{hot:,} GB x {RDS}", hot * RDS),
        Item("archive, one year", f"{year:,.1f} GB x {price:.4f}", year * price),
        Item("archive, writing", f"{puts:,.0f} puts x {PUT:.6f}", puts * PUT),
        Item("answers to devices", f"{out:,.1f} GB x {OUT_GB}", out * OUT_GB),
        Item("logs", f"{logs:.2f} GB x {LOG_GB}", logs * LOG_GB),
        Item("alarms, metrics", f"{ALARMS} x {ALARM} + {METRICS} x {METRIC}", ALARMS * ALARM + METRICS * METRIC),
        Item("secrets", f"2 x {SECRET}", 2 * SECRET),
    ]


def table() -> str:
    """The bills beside each other, as Markdown."""
    bills = [bill(fleet) for fleet in FLEETS]
    lines = [
        "| | " + " | ".join(f"{fleet.devices:,} devices" for fleet in FLEETS) + " |",
        "|---|" + "---|" * len(FLEETS),
    ]
    for items in zip(*bills, strict=True):
        name = items[0].name.split(" t4g")[0].split(" db.")[0]
        name = "its hot days" if "hot days" in name else name
        lines.append(f"| {name} | " + " | ".join(cell(item) for item in items) + " |")
    totals = [sum(item.dollars for item in items) for items in bills]
    lines.append("| **a month** | " + " | ".join(f"**${total:,.2f}**" for total in totals) + " |")
    each = [f"${total / fleet.devices:,.4f}" for total, fleet in zip(totals, FLEETS, strict=True)]
    lines.append("| a device and month | " + " | ".join(each) + " |")
    return "\n".join(lines)


def cell(item: Item) -> str:
    kind = item.name.rpartition(" ")[2]
    shown = f"{kind}: " if "." in kind else f"{item.name.split()[1]} days: " if "hot days" in item.name else ""
    return f"{shown}{item.arithmetic} = ${item.dollars:,.2f}"


@click.command()
def main() -> None:
    """Print the table of costs."""
    click.echo(table())


if __name__ == "__main__":
    main(prog_name="python -m backend.deploy.costs")
