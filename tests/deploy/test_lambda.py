"""The compactor's zip: made from the real packages, and run from nothing else, as Lambda does."""

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from backend.objects import ObjectStore
from backend.settings import Settings
from tests.backend.archive_parts import archive_all
from tests.deploy.conftest import STACK, Stack
from tests.deploy.test_stack import DROPPED
from tools.commands import tools
from tools.lambda_zip import MOST, write

# What Lambda brings itself.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
RUN = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import pyarrow, sqlalchemy
assert pyarrow.__file__.startswith(sys.argv[1]) and sqlalchemy.__file__.startswith(sys.argv[1])
from backend.lambda_handler import handler
print(json.dumps(handler({"remove_after_s": 0}, None)))
"""


@pytest.fixture
def store(monkeypatch):
    """A bucket on moto's server: the function runs in a process of its own."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    store = ObjectStore(Settings(s3_endpoint=f"http://{host}:{port}"))
    store.create_bucket()
    yield store
    server.stop()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11) or sys.platform != "linux", reason="a zip is for one Python")
@pytest.mark.sqlite_only
def test_the_zip_compacts_with_sql(rows, channel, database, database_url, store, tmp_path):
    rows.readings(channel, [(1_763_812_345_000 + i, 21.5) for i in range(100)])
    archive_all(database, store, rows=10)
    (tmp_path / "bundle.pem").write_text("authorities")
    out = tmp_path / "compactor.zip"
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    options = ["--out", out, "--python", "3.11", "--architecture", architecture]
    done = CliRunner().invoke(tools, ["lambda-zip", *map(str, options), "--authorities", str(tmp_path / "bundle.pem")])
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(out) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) < MOST * 0.7
        assert {"rds.pem", "backend/lambda_handler.py"} <= set(archive.namelist())
        assert not [name for name in archive.namelist() if "arrow_flight" in name or name.startswith("bin/")]
        archive.extractall(tmp_path / "task")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    site = Path(pytest.__file__).parents[1]
    for name in RUNTIME:
        (runtime / name).symlink_to(site / name)
    given = {"THERMOGRAPH_DATABASE": database_url, "THERMOGRAPH_S3_BUCKET": store.bucket, **os.environ}
    given["THERMOGRAPH_S3_ENDPOINT"] = store._client.meta.endpoint_url
    command = [sys.executable, "-I", "-S", "-c", RUN, tmp_path / "task", runtime]
    ran = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["joined"], report["troubles"]) == (1, [])
    assert len(list(store.list("day="))) == 1


def test_equal_contents_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text("x = 1\n")
    os.utime(tmp_path / "b" / "x.py", (1, 1))
    (tmp_path / "b" / "x.py").chmod(0o600)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.zip", {"backend/x.py": tmp_path / name / "x.py"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    shutil.rmtree(tmp_path / "a")


def test_the_template_makes_the_function_and_calls_it_every_night(aws, template):
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("backend/lambda_handler.py", "")
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket="releases")
    s3.put_object(Bucket="releases", Key="compactor-1.zip", Body=zipped.getvalue())
    with pytest.warns(UserWarning, match="not supported by moto"):
        given = {"CompactorBucket": "releases", "CompactorKey": "compactor-1.zip", "GatewayCidr": "10.0.0.0/8"}
        stack = Stack(template, AlarmMail="someone@example.org", **given)
    assert stack.description["StackStatus"] == "CREATE_COMPLETE"
    function = boto3.Session().client("lambda").get_function(FunctionName=stack.made["Compactor"])
    configuration = function["Configuration"]
    assert (configuration["Runtime"], configuration["Timeout"]) == ("python3.13", 900)
    assert configuration["Role"].endswith(stack.outputs["CompactorRole"])
    assert configuration["Environment"]["Variables"]["THERMOGRAPH_S3_BUCKET"] == stack.outputs["ArchiveBucket"]
    (rule,) = boto3.Session().client("events").list_rules()["Rules"]
    (target,) = boto3.Session().client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == configuration["FunctionArn"]
    role = boto3.Session().client("iam").get_role(RoleName=stack.outputs["CompactorRole"])["Role"]
    assert "lambda.amazonaws.com" in str(role["AssumeRolePolicyDocument"])
    assert "HostCompactsPolicy" not in stack.made and STACK in rule["Name"]
    assert stack.dropped == DROPPED | {"AWS::Lambda::EventInvokeConfig"}
