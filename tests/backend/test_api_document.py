"""schemathesis over the whole OpenAPI document: what is described is what is answered, and nothing ends in a 5xx.

Cases are cheap, so there are many: API_CASES=10000 makes as many of them (make test: 400).
"""

import json
import os
import time

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from backend.accounts.actor import SCOPES
from backend.alerts import rules
from backend.alerts.rule import Rule
from backend.app import create_app
from backend.archive import Archive
from backend.database import Database
from backend.objects import ObjectStore
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows

CASES = int(os.environ.get("API_CASES", "400"))
DEVICE, STREAM = "fridge-1", "9f3a1c02"
# A stream of events has no end: test_web_serve.py reads it. It is in the document all the same.
ENDLESS = "/api/v1/events"
# Refusals of what is right by schema, but makes no sense, are described as 422 (a rule over a channel and a device,
# since after until): JSON Schema cannot say all of that, so it is no failure here.
EXCLUDED = [checks.positive_data_acceptance]


class Unlimited:
    """Thousands of wrong keys come from one address here; that they are slowed down is test_accounts_access.py's."""

    def hit(self, key, most, within):
        return 0.0


@pytest.fixture(scope="module")
def app(tmp_path_factory, s3):
    folder = tmp_path_factory.mktemp("document")
    wanted = Settings(database=f"sqlite:///{folder}/t.db", password_memory=8, api_rate=0, broker="mqtt://127.0.0.1:1")
    database, store = Database(wanted.database), ObjectStore(wanted)
    database.migrate()
    store.create_bucket()
    fill(database, store)
    app = create_app(wanted, database)
    app.extensions["access"].limits = Unlimited()
    yield app
    app.extensions["live"].close()
    database.close()


def fill(database, store):
    rows, now = Rows(database), time.time_ns() // 1_000_000
    rows.device(DEVICE, stream=STREAM, health=json.dumps({"settings": 1}))
    channel = rows.channel(DEVICE)
    rows.readings(channel, [(now - 1000 * i, "crc" if i % 7 == 0 else 4.5 + i) for i in range(50, 0, -1)])
    archive = Archive(database, store, rows=10, age=0.001)
    archive.freeze()
    archive.upload()
    with database.write() as connection:
        target, _ = rules.add_target(connection, "mail", "someone@example.org")
        for name in ("warm", "cold"):
            rules.add_rule(connection, name, channel, Rule("high", 8.0), (target,))


@pytest.fixture(scope="module")
def schema(app):
    found = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    return found.exclude(path=ENDLESS)


@pytest.fixture(scope="module")
def key(app):
    return signed_in.key(app.extensions["access"].database, "admin", list(SCOPES))


def try_operation(operation, mode, headers, cases):
    """How many cases were made."""
    made = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        nonlocal made
        case.call_and_validate(headers=headers, excluded_checks=EXCLUDED)
        made += 1

    try:
        check()
    except Unsatisfiable:
        # An operation without parameters and body has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE
    return made


@pytest.mark.parametrize("credentials", ["with a key", "without"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_every_operation_is_as_it_is_described(schema, key, credentials, mode):
    operations = [one.ok() for one in schema.get_all_operations()]
    # Flask's client does not unpack what comes compressed.
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {key}"} if credentials == "with a key" else {}
    made, failures = 0, []
    for operation in operations:
        try:
            made += try_operation(operation, mode, headers, max(1, round(CASES / 4 / len(operations))))
        except (Exception, BaseExceptionGroup) as error:  # all of them are wanted at once
            told = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
            failures += [f"{operation.label}: {one}" for one in told]
    print(f"{made} cases, {len(failures)} failures")  # noqa: T201 - with -s it is the report
    assert not failures, "\n\n".join(failures)
