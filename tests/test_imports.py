"""The arrows of DESIGN.md, section 4: imports run one way, and some packages have one importer."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BACKEND = ROOT / "backend"
FIRMWARE = ROOT / "firmware" / "thermograph"

# A module may import from its own row and those above it.
BACKEND_ROWS = [
    {
        "errors",
        "settings",
        "reading",
        "coverage",
        "rollup",
        "exposure",
        "temperature",
        "garbage",
        "time_zone",
        "spreadsheet",
        "command_group",
        "failpoints",
        "private",
        "manifest",
        "shared_memory",
        "limits",
    },
    {"models", "database", "bulk", "fast_client", "bus", "objects", "parquet"},
    {"accounts"},
    {
        "commit",
        "device_notes",
        "ledger",
        "lease",
        "hot_window",
        "hot_end",
        "partitions",
        "commit_signal",
        "freezing",
        "derived",
        "archive",
        "chain",
        "catalog",
        "compaction",
        "calibration",
        "wanted_settings",
        "notify",
        "devices",
        "gateway",
    },
    {"ingest", "verify", "restore", "history", "buckets", "queries", "archive_days", "newest_cache"},
    {"alerts", "announce"},
    {"report", "report_chart", "report_csv", "report_pdf"},
    {"api"},
    {"web"},
    {"app"},
    {"run", "deploy"},
    {"alert_command", "report_command", "account_command"},
    {"__main__", "lambda_handler"},
]
FIRMWARE_ROWS = [
    {"errors", "moment", "reading", "clock", "packets"},
    {"wifi", "joining"},
    {"names", "resolver", "sntp"},
    {"time_servers"},
    {"sector", "settings", "sensors"},
    {
        "outbox",
        "outbox_mount",
        "link",
        "connecting",
        "schedule",
        "sampling",
        "sending",
        "settings_store",
        "crashlog",
        "commands",
    },
    {"kept"},
    {"contact"},
    {"node"},
    {"saving"},
    {"portal"},
    {"boards"},
    {"start"},
]
ONLY_IMPORTER = {
    "paho": {
        "backend/bus.py",
        "backend/fast_client.py",
        "backend/gateway/publisher.py",
        "backend/notify/mqtt.py",
        "backend/announce/outlet.py",
    },
    "boto3": {"backend/objects.py", "backend/deploy/credentials.py"},
    "botocore": {"backend/objects.py", "backend/deploy/credentials.py"},
    "pyarrow": {"backend/parquet.py"},
    "waitress": {"backend/app.py"},
    "redis": {"backend/shared_memory.py"},
}
# What exists on one kind of board only, or means another thing there.
OF_A_BOARD = {"machine", "network", "esp32", "os", "signal", "ffi", "socket", "usocket", "vfs"}


def python_files(folder):
    return sorted(path for path in folder.rglob("*.py") if "vendor" not in path.parts)


def imports(path, package):
    """Dotted names that a file imports, absolute: 'backend.errors', 'paho.mqtt.client'."""
    here = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def is_module(path):
    return path.is_dir() or path.with_suffix(".py").is_file()


def row_of(rows, name):
    found = [number for number, row in enumerate(rows) if name in row]
    assert found, f"{name} has no place in the rows of tests/test_imports.py"
    return found[0]


def upward(package, rows):
    """(file, what it imports) for each import that runs against the arrows."""
    for path in python_files(package):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part in ("__init__", "migrations"):
            continue
        for name in imports(path, package):
            steps = name.split(".")
            if steps[0] != package.name or len(steps) < 2 or not is_module(package / steps[1]):
                continue
            if row_of(rows, steps[1]) > row_of(rows, part):
                yield str(path.relative_to(ROOT)), name


@pytest.mark.parametrize(("package", "rows"), [(BACKEND, BACKEND_ROWS), (FIRMWARE, FIRMWARE_ROWS)])
def test_imports_run_one_way(package, rows):
    assert list(upward(package, rows)) == []


def test_the_check_would_see_an_arrow_that_runs_back(tmp_path):
    package = tmp_path / "backend"
    package.mkdir()
    (package / "errors.py").write_text("from .app import serve\n")
    found = list(imports(package / "errors.py", package))
    assert "backend.app" in found
    assert row_of(BACKEND_ROWS, "app") > row_of(BACKEND_ROWS, "errors")


@pytest.mark.parametrize("name", sorted(ONLY_IMPORTER))
def test_a_package_has_one_importer(name):
    importers = {
        str(path.relative_to(ROOT))
        for path in python_files(BACKEND)
        if any(imported.split(".")[0] == name for imported in imports(path, BACKEND))
    }
    assert importers == ONLY_IMPORTER[name]


def test_only_boards_import_what_belongs_to_a_board():
    for path in python_files(FIRMWARE):
        if "boards" not in path.parts:
            assert {name.split(".")[0] for name in imports(path, FIRMWARE)} & OF_A_BOARD == set(), path


def test_nothing_imports_tools_and_the_firmware_stands_alone():
    for path in [*python_files(BACKEND), *python_files(ROOT / "firmware")]:
        roots = {name.split(".")[0] for name in imports(path, BACKEND if BACKEND in path.parents else FIRMWARE)}
        assert "tools" not in roots, path
        assert "tests" not in roots, path
        assert not ("backend" in roots and BACKEND not in path.parents), path
        assert "firmware" not in roots, path
