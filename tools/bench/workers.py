"""python -m tools bench workers: two ingest workers and two archivers, killed with -9, and that nothing is lost."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path

import click

TAKEOVER = 30.0


@click.command()
@click.option("--seconds", default=120.0, show_default=True, help="For so long devices sample and workers are killed.")
@click.option("--pause", default=10.0, show_default=True, help="Seconds between two kills.")
@click.option("--seed", type=int, default=None, help="Of what is sampled; a new one without it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def workers(seconds: float, pause: float, seed: int | None, as_json: bool) -> None:
    """Kill one of two ingest workers again and again, and prove that every reading is in S3 exactly once.

    The workers share one subscription on mosquitto and write into one PostgreSQL. Of two archivers that start
    together one works; it is killed too, and the other has to take over within 30 s.
    """
    from tests.end_to_end.crew import Crew, Report
    from tests.end_to_end.judge import Broken
    from tests.end_to_end.kills import Servers

    seed = int(time.time()) if seed is None else seed
    broken, report = "", Report()
    with tempfile.TemporaryDirectory(prefix="thermograph-crew-", ignore_cleanup_errors=True) as folder:
        try:
            with Servers(Path(folder)) as servers:
                report = Crew(servers, seed, seconds, pause).run()
        except Broken as error:
            broken = str(error)
    if not broken and report.takeover > TAKEOVER:
        broken = f"the other archiver took over after {report.takeover:.1f} s"
    if as_json:
        print(json.dumps({**dataclasses.asdict(report), "seed": seed, "broken": broken}))
    else:
        print(f"seed {seed}: {report.kills} kills of an ingest worker, {report.readings:,} readings")
        print(f"BROKEN: {broken}" if broken else "each of them is in S3 once; ledger, rollups and tools verify agree")
        print(f"the archiver was killed; the other one took over after {report.takeover:.1f} s")
    if broken:
        raise SystemExit(1)
