"""The stack that moto makes of the template, used by the application's own code with the host's own rights."""

import ast
import json
import stat
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto.core import set_initial_no_auth_action_count
from sqlalchemy import select

from backend.archive import Archive
from backend.compaction import Compaction
from backend.deploy.credentials import main as credentials
from backend.errors import NotFound, ObjectStoreUnavailable
from backend.ledger import read as ledger
from backend.models import Batch
from backend.objects import ObjectStore
from tests.deploy.conftest import GIVEN, STACK

# What moto 5 has no CloudFormation for; test_template.py looks at them.
DROPPED = {
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::EIPAssociation",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
    "AWS::SNS::Subscription",
}


NO_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none"


def become_the_host(monkeypatch, stack):
    """This process gets the credentials that the host's role gives."""
    become(monkeypatch, stack.outputs["HostRole"])


def become(monkeypatch, name):
    """This process gets the credentials that the role gives.

    moto's CloudFormation keeps a role's own policies as its enforcement cannot read them, and with nothing for the
    secrets that it does not make: they are put again, as they are.
    """
    iam = boto3.Session().client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        if isinstance(document, str):
            document = ast.literal_eval(document)
        if policy == "secrets":
            document["Statement"][0]["Resource"] = [NO_SECRET]
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    take_on(monkeypatch, iam.get_role(RoleName=name)["Role"]["Arn"])


def take_on(monkeypatch, role):
    given = boto3.Session().client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])


def test_everything_that_moto_knows_is_made(stack):
    assert stack.description["StackStatus"] == "CREATE_COMPLETE"
    assert stack.dropped <= DROPPED
    assert stack.outputs["Broker"] == "mqtts://mqtt.example.org:8883"
    assert stack.host()["InstanceId"] in stack.outputs["Tunnel"]
    groups = boto3.Session().client("ec2").describe_security_groups(GroupIds=[stack.made["HostSecurityGroup"]])
    ports = {rule["FromPort"] for rule in groups["SecurityGroups"][0]["IpPermissions"]}
    assert ports == {8883, 7007}
    logs = boto3.Session().client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"] for group in logs} == {
        f"/thermograph/{STACK}/{name}" for name in ("application", "broker")
    }
    database = boto3.Session().client("rds").describe_db_instances()["DBInstances"][0]
    assert (database["StorageEncrypted"], database["PubliclyAccessible"], database["Engine"]) == (
        True,
        False,
        "postgres",
    )


@pytest.mark.sqlite_only
def test_the_archiver_works_with_the_host_s_role(stack, rows, channel, database, monkeypatch):
    rows.readings(channel, [(1_763_812_345_000 + i * 60_000, 21.5) for i in range(100)])
    become_the_host(monkeypatch, stack)

    @set_initial_no_auth_action_count(0)
    def archive():
        archiver = Archive(database, ObjectStore(stack.settings()), rows=1000, age=1)
        assert archiver.freeze() == 100
        assert archiver.upload() == 1

    archive()
    with database.read() as connection:
        (account,) = ledger(connection)
    assert account.archived == 100
    (entry,) = ObjectStore(stack.settings()).list("day=")
    listed = boto3.Session().client("s3").list_objects_v2(Bucket=stack.outputs["ArchiveBucket"])["Contents"]
    assert f"{GIVEN['ArchivePrefix']}/{entry.key}" in [one["Key"] for one in listed]


@pytest.mark.sqlite_only
def test_an_object_that_is_missing_holds_back_no_other_batch(stack, rows, channel, database, monkeypatch, caplog):
    """Without s3:ListBucket S3 answers 403 for it, as for what one may not read."""
    old = 1_763_812_345_000
    for n in range(3):
        rows.readings(channel, [(old + n * 86_400_000 + i, 21.5) for i in range(10)])
    archiver = Archive(database, ObjectStore(stack.settings()), rows=10, age=1, hot_days=1)
    while archiver.freeze():
        archiver.upload()
    with database.read() as connection:
        keys = list(connection.scalars(select(Batch.key).order_by(Batch.day)))
    assert len(keys) == 3
    ObjectStore(stack.settings()).delete(keys[0])
    become_the_host(monkeypatch, stack)

    @set_initial_no_auth_action_count(0)
    def drop():
        archiver = Archive(database, ObjectStore(stack.settings()), rows=10, age=1, hot_days=1)
        assert archiver.drop() == 2

    with monkeypatch.context() as patch:
        hide_what_is_missing(patch)
        drop()
    assert f"{keys[0]} is missing in" in caplog.text and "or these credentials may not read it" in caplog.text
    with database.read() as connection:
        kept = connection.scalars(select(Batch.key).where(Batch.dropped_at.is_(None)))
        assert list(kept) == keys[:1]


def hide_what_is_missing(patch):
    """moto says 404 to whoever may not list, where S3 says 403: here it is S3's answer."""
    get = ObjectStore.get

    def as_s3_does(store, key):
        try:
            return get(store, key)
        except NotFound:
            answer = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
            with store._reading(key):
                raise ClientError(answer, "GetObject") from None

    patch.setattr(ObjectStore, "get", as_s3_does)


def answer(action):
    """The code with which AWS refuses the action; "done" if it does not."""
    try:
        action()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"


def test_the_host_may_only_put_and_read_back_under_its_prefix(stack, monkeypatch):
    bucket, prefix = stack.outputs["ArchiveBucket"], GIVEN["ArchivePrefix"]
    s3 = boto3.Session().client("s3")
    s3.put_object(Bucket=bucket, Key="elsewhere/theirs", Body=b"1")
    s3.create_bucket(Bucket="another")
    become_the_host(monkeypatch, stack)
    s3 = boto3.Session().client("s3")
    key = f"{prefix}/beside/b.parquet"
    refused = {
        "delete": lambda: s3.delete_object(Bucket=bucket, Key=key),
        "delete a version": lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId="1"),
        "list": lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix),
        "list versions": lambda: s3.list_object_versions(Bucket=bucket),
        "list buckets": lambda: s3.list_buckets(),
        "put elsewhere": lambda: s3.put_object(Bucket=bucket, Key="elsewhere/mine", Body=b"1"),
        "put beside": lambda: s3.put_object(Bucket=bucket, Key=f"{prefix}-too/mine", Body=b"1"),
        "put at the top": lambda: s3.put_object(Bucket=bucket, Key="mine", Body=b"1"),
        "get elsewhere": lambda: s3.get_object(Bucket=bucket, Key="elsewhere/theirs"),
        "another bucket": lambda: s3.put_object(Bucket="another", Key=key, Body=b"1"),
        "delete the bucket": lambda: s3.delete_bucket(Bucket=bucket),
        "change the policy": lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        "end versioning": lambda: s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
    }

    @set_initial_no_auth_action_count(0)
    def attempt():
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 1
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"1"
        assert {name: answer(action) for name, action in refused.items()} == dict.fromkeys(refused, "AccessDenied")

    attempt()


def test_the_store_says_in_a_sentence_what_the_host_may_not(stack, monkeypatch):
    become_the_host(monkeypatch, stack)
    store = ObjectStore(stack.settings())

    @set_initial_no_auth_action_count(0)
    def attempt():
        store.put("beside/a.parquet", b"1")
        with pytest.raises(ObjectStoreUnavailable, match="check the policy"):
            store.delete("beside/a.parquet")
        with pytest.raises(ObjectStoreUnavailable, match="check the policy"):
            list(store.list())

    attempt()


@pytest.mark.sqlite_only
def test_the_compactor_has_all_of_its_prefix_and_nothing_else(stack, rows, channel, database, monkeypatch):
    """The host takes its role on, as thermograph@compact does; then a day is joined under it, this test's own."""
    rows.readings(channel, [(1_764_550_800_000 + i, 21.5) for i in range(100)])
    archiver = Archive(database, ObjectStore(stack.settings()), rows=10, age=1)
    while archiver.freeze():
        archiver.upload()
    bucket, prefix = stack.outputs["ArchiveBucket"], GIVEN["ArchivePrefix"]
    boto3.Session().client("s3").put_object(Bucket=bucket, Key="elsewhere/hers", Body=b"1")
    boto3.Session().client("s3").create_bucket(Bucket="hers")
    role = boto3.Session().client("iam").get_role(RoleName=stack.outputs["CompactorRole"])["Role"]["Arn"]
    become_the_host(monkeypatch, stack)
    # moto would ask for sts:AssumeRole on every role; that the host may take on this one is a line of the template.
    take_on(monkeypatch, role)

    @set_initial_no_auth_action_count(0)
    def compact():
        s3 = boto3.Session().client("s3")
        refused = {
            "list another bucket": lambda: s3.list_objects_v2(Bucket="hers"),
            "list versions": lambda: s3.list_object_versions(Bucket=bucket),
            "get elsewhere": lambda: s3.get_object(Bucket=bucket, Key="elsewhere/hers"),
            "put elsewhere": lambda: s3.put_object(Bucket=bucket, Key="elsewhere/mine", Body=b"1"),
            "delete elsewhere": lambda: s3.delete_object(Bucket=bucket, Key="elsewhere/hers"),
            "delete a version": lambda: s3.delete_object(Bucket=bucket, Key=f"{prefix}/x", VersionId="1"),
            "delete the bucket": lambda: s3.delete_bucket(Bucket=bucket),
            "end versioning": lambda: s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
            ),
        }
        assert {name: answer(action) for name, action in refused.items()} == dict.fromkeys(refused, "AccessDenied")
        store = ObjectStore(stack.settings())
        report = Compaction(store, None, 0).run("2025-12-01")
        assert (report.joined, report.troubles) == (1, [])
        assert report.removed > 1 and len(list(store.list("day=2025-12-01/"))) == 1

    compact()


def make_secret(properties, name):
    """A secret as the template describes it: moto has no CloudFormation for them."""
    wanted = properties(name)["GenerateSecretString"]
    client = boto3.Session().client("secretsmanager")
    password = client.get_random_password(
        PasswordLength=wanted["PasswordLength"], ExcludePunctuation=wanted["ExcludePunctuation"]
    )["RandomPassword"]
    content = {**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: password}
    return client.create_secret(Name=name, SecretString=json.dumps(content))["ARN"], password


def test_the_host_gets_its_passwords_from_the_secrets(aws, properties, tmp_path):
    database, database_password = make_secret(properties, "DatabaseSecret")
    broker, broker_password = make_secret(properties, "BrokerSecret")
    file = tmp_path / "run" / "credentials.env"
    done = CliRunner().invoke(credentials, [database, broker, str(file)])
    assert done.exit_code == 0, done.output
    assert database_password not in done.output and broker_password not in done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().splitlines() == [
        f"THERMOGRAPH_DATABASE_PASSWORD={database_password}",
        "THERMOGRAPH_BROKER_USER=backend",
        f"THERMOGRAPH_BROKER_PASSWORD={broker_password}",
    ]


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        (None, 69, "Secrets Manager did not give"),
        ("just a password", 78, "no JSON object with username and password"),
        ('{"username": "backend", "password": "two\\nTHERMOGRAPH_ENROLMENT=open"}', 78, "systemd would read"),
    ],
)
def test_a_wrong_secret_gets_a_sentence_and_writes_nothing(aws, tmp_path, content, code, sentence):
    good = (
        boto3.Session()
        .client("secretsmanager")
        .create_secret(Name=f"good-{uuid.uuid4()}", SecretString='{"username": "u", "password": "p"}')
    )
    database, broker = good["ARN"], "there-is-none"
    if content is not None:
        name = f"bad-{uuid.uuid4()}"
        broker = boto3.Session().client("secretsmanager").create_secret(Name=name, SecretString=content)["ARN"]
    done = CliRunner().invoke(credentials, [database, broker, str(tmp_path / "credentials.env")])
    assert done.exit_code == code and sentence in done.output
    assert "two" not in done.output and not (tmp_path / "credentials.env").exists()
