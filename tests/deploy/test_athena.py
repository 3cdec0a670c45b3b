"""The archive as a table of Athena: its columns are those of the files."""

import re

import pyarrow

from backend.parquet import SCHEMA
from backend.settings import Settings
from tests.deploy.conftest import DEPLOY


def test_athenas_columns_are_those_of_the_files():
    sql = (DEPLOY / "athena.sql").read_text(encoding="utf-8")
    told = re.findall(r"^  `(\w+)`\s+(\w+)\s+COMMENT", sql, re.MULTILINE)
    names = {pyarrow.string(): "string", pyarrow.int64(): "bigint", pyarrow.float64(): "double"}
    names[pyarrow.timestamp("ms", tz="UTC")] = "timestamp"
    assert told == [(field.name, names[field.type]) for field in SCHEMA]
    prefix = Settings().s3_prefix
    assert f"s3://BUCKET/{prefix}/day=${{day}}/" in sql and f"LOCATION 's3://BUCKET/{prefix}/'" in sql
