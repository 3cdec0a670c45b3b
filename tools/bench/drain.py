"""python -m tools.bench.drain: what ingest is compared with. The same client and the same table, and nothing else.

No validation, no ledger, no rollups, no newest, no application acks: decode, INSERT, COMMIT, PUBACK. With `stock` the
messages come by paho's own client, which is acknowledged one by one.
"""

import logging
import os
import sys

import msgspec

from backend.bulk import Bulk
from backend.bus import Bus, Message
from backend.database import Database
from backend.fast_client import FastClient, StockClient
from backend.garbage import collect_rarely
from backend.ingest import LINGER, PATIENCE, TOPICS
from backend.settings import Settings

# What the bench has put into the tables: device n has the stream n and the channel n, from 1 on.
Rows = list[tuple[int, int, int, int, str, float | None, str | None, int]]


class Plain(msgspec.Struct, gc=False):
    stream: str
    seq: int
    t: int
    tq: str
    r: list[tuple[int, int, float]]


decode = msgspec.json.Decoder(Plain).decode


def main(client: str) -> None:
    """Until it is killed; a line of how many readings are stored after every commit."""
    collect_rarely(200_000)  # as ingest does
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    settings = Settings.read(os.environ)
    database = Database(settings.database, settings.database_password)
    bus = Bus(settings, TOPICS, StockClient if client == "stock" else FastClient)
    bus.start()
    stored = 0
    while True:
        group = bus.take(settings.ingest_batch, LINGER, PATIENCE)
        if not group:
            continue
        rows = readings(group)
        with database.write() as connection:
            Bulk(connection).insert_readings(rows)
        bus.ack(group)
        stored += len(rows)
        print(stored, flush=True)


def readings(group: list[Message]) -> Rows:
    rows: Rows = []
    for message in group:
        plain = decode(message.payload)
        number = int(plain.stream, 16) + 1
        for seq, (dt, _, value) in enumerate(plain.r, plain.seq):
            rows.append((number, seq, number, plain.t + dt, plain.tq, value, None, message.received))
    rows.sort()
    return rows


if __name__ == "__main__":
    main(sys.argv[1])
