"""The template itself: cfn-lint, and what must stand in it that moto would not notice the lack of."""

import json
import logging

import pytest
from cfnlint.api import lint_file

from backend import archive
from backend.settings import Settings
from tests.deploy.conftest import TEMPLATE

# backend/__main__.py's.
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def test_cfn_lint_finds_nothing():
    assert [str(finding) for finding in lint_file(TEMPLATE)] == []


def test_no_one_from_outside_can_make_the_archive_public(properties):
    bucket = properties("ArchiveBucket")
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert {name: bucket["PublicAccessBlockConfiguration"][name] for name in blocks} == dict.fromkeys(blocks, True)
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_the_archive_is_reached_over_tls_only(properties):
    policy = properties("ArchiveBucketPolicy")
    assert policy["Bucket"] == {"Ref": "ArchiveBucket"}
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    bucket = {"Fn::GetAtt": ["ArchiveBucket", "Arn"]}
    assert statement["Resource"] == [bucket, {"Fn::Sub": "${ArchiveBucket.Arn}/*"}]


def test_the_archive_is_encrypted_versioned_and_outlives_the_stack(template, properties):
    bucket = properties("ArchiveBucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    for name in ("ArchiveBucket", "ArchiveBucketPolicy", "DatabaseSecret", "BrokerSecret", "Address"):
        one = template["Resources"][name]
        assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain")
    for name in ("Database", "DataVolume"):
        one = template["Resources"][name]
        assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")


def test_the_archive_never_goes_where_restore_could_not_read_it(properties):
    rules = {rule["Id"]: rule for rule in properties("ArchiveBucket")["LifecycleConfiguration"]["Rules"]}
    classes = [step["StorageClass"] for step in rules["cheaper"]["Transitions"]]
    assert classes == ["STANDARD_IA", "GLACIER_IR"]
    assert rules["cheaper"]["Prefix"] == {"Fn::Sub": "${ArchivePrefix}/"}
    assert not any("ExpirationInDays" in rule or "ExpirationDate" in rule for rule in rules.values())
    assert rules["tidy"]["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 30
    assert rules["tidy"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7


def test_object_lock_is_there_when_asked_for(template, properties):
    bucket = properties("ArchiveBucket")
    assert template["Conditions"]["HasLock"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ArchiveLockDays"}, 0]}]}
    assert bucket["ObjectLockEnabled"]["Fn::If"][:2] == ["HasLock", True]
    name, lock, otherwise = bucket["ObjectLockConfiguration"]["Fn::If"]
    assert (name, otherwise) == ("HasLock", {"Ref": "AWS::NoValue"})
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": {"Ref": "ArchiveLockDays"}}


def test_the_database_is_private_encrypted_and_backed_up(properties):
    database = properties("Database")
    assert (database["PubliclyAccessible"], database["StorageEncrypted"]) == (False, True)
    assert database["BackupRetentionPeriod"] >= 7 and database["DeletionProtection"] is True
    assert database["MasterUserPassword"] == {
        "Fn::Sub": "{{resolve:secretsmanager:${DatabaseSecret}:SecretString:password}}"
    }
    (source,) = properties("DatabaseSecurityGroup")["SecurityGroupIngress"]
    assert source["SourceSecurityGroupId"] == {"Ref": "HostSecurityGroup"} and "CidrIp" not in source
    assert properties("DatabaseSubnets")["SubnetIds"] == [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}]


def test_the_private_subnets_have_no_way_out(template):
    routes = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::EC2::Route"]
    assert [route["RouteTableId"] for route in routes] == [{"Ref": "PublicRoutes"}]
    for subnet in ("PrivateSubnetARoutes", "PrivateSubnetBRoutes"):
        assert template["Resources"][subnet]["Properties"]["RouteTableId"] == {"Ref": "PrivateRoutes"}


def test_the_host_takes_imdsv2_only_and_no_ssh(template, properties):
    options = properties("HostTemplate")["LaunchTemplateData"]["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    assert properties("Host")["LaunchTemplate"]["LaunchTemplateId"] == {"Ref": "HostTemplate"}
    assert "KeyName" not in properties("Host")
    (mqtt,) = properties("HostSecurityGroup")["SecurityGroupIngress"]
    assert (mqtt["FromPort"], mqtt["ToPort"]) == (8883, 8883)
    assert template["Resources"]["GatewayIngress"]["Condition"] == "HasGateway"
    for name in ("DataVolume", "Host"):
        disk = properties(name).get("BlockDeviceMappings", [{"Ebs": properties(name)}])[0]["Ebs"]
        assert disk["Encrypted"] is True


def actions(statements):
    for statement in statements:
        found = statement["Action"]
        yield from [found] if isinstance(found, str) else found


def test_the_host_s_role_names_every_action_and_has_nothing_of_amazon_s_own(properties):
    role = properties("HostRole")
    assert "ManagedPolicyArns" not in role
    policies = {one["PolicyName"]: one["PolicyDocument"]["Statement"] for one in role["Policies"]}
    assert [action for statements in policies.values() for action in actions(statements) if "*" in action] == []
    (secrets,) = policies["secrets"]
    assert secrets["Resource"] == [{"Ref": "DatabaseSecret"}, {"Ref": "BrokerSecret"}]
    everywhere = {
        action
        for statements in policies.values()
        for statement in statements
        if statement["Resource"] == "*" and "Condition" not in statement
        for action in actions([statement])
    }
    assert {action.split(":")[0] for action in everywhere} == {"ssm", "ssmmessages"}


def test_the_compactor_is_alone_and_what_it_could_not_do_is_kept_and_told(template, properties):
    function = properties("Compactor")
    assert (function["Handler"], function["ReservedConcurrentExecutions"]) == ("backend.lambda_handler.handler", 1)
    assert function["DeadLetterConfig"] == {"TargetArn": {"Fn::GetAtt": ["CompactorFailures", "Arn"]}}
    assert function["VpcConfig"]["SubnetIds"] == [{"Ref": "PrivateSubnetA"}]
    assert properties("CompactorFailures")["SqsManagedSseEnabled"] is True
    assert properties("CompactorSchedule")["ScheduleExpression"] == "cron(15 6 * * ? *)"
    given = function["Environment"]["Variables"]
    assert set(given) - {"DATABASE_SECRET"} <= set(Settings().environment())
    assert "password" not in str(given).lower()
    only_lambda = {name for name, one in template["Resources"].items() if one.get("Condition") == "HasLambda"}
    assert {name for name in template["Resources"] if name.startswith("Compactor")} - only_lambda == {
        "CompactorRole",
        "CompactorArchivePolicy",
    }


def test_the_host_may_become_the_compactor_only_where_there_is_no_lambda(template, properties):
    (statement,) = properties("HostCompactsPolicy")["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Resource"] == {"Fn::GetAtt": ["CompactorRole", "Arn"]}
    assert template["Resources"]["HostCompactsPolicy"]["Condition"] == "CompactsOnHost"
    (trust,) = properties("CompactorRole")["AssumeRolePolicyDocument"]["Statement"]
    by_lambda = {"Service": "lambda.amazonaws.com"}
    assert trust["Principal"]["Fn::If"] == ["HasLambda", by_lambda, {"AWS": {"Fn::GetAtt": ["HostRole", "Arn"]}}]


def test_the_compactor_s_role_names_its_actions(properties):
    (archive, function) = (properties(f"Compactor{name}Policy") for name in ("Archive", "Function"))
    found = [*actions(archive["PolicyDocument"]["Statement"]), *actions(function["PolicyDocument"]["Statement"])]
    assert [action for action in found if "*" in action] == []
    listing, joining = archive["PolicyDocument"]["Statement"]
    # moto does not look at conditions.
    assert listing["Condition"] == {"StringLike": {"s3:prefix": {"Fn::Sub": "${ArchivePrefix}/*"}}}
    assert joining["Resource"] == {"Fn::Sub": "${ArchiveBucket.Arn}/${ArchivePrefix}/*"}
    assert {action for action in found if action.startswith("s3:")} == {
        f"s3:{name}" for name in ("ListBucket", "GetObject", "PutObject", "DeleteObject")
    }


@pytest.mark.parametrize("name", ["DatabaseSecret", "BrokerSecret"])
def test_secrets_are_made_by_amazon_and_nobody_else(properties, name):
    made = properties(name)["GenerateSecretString"]
    assert made["PasswordLength"] >= 32 and made["ExcludePunctuation"] is True
    assert "password" not in json.loads(made["SecretStringTemplate"])


def test_every_parameter_says_what_it_is_and_only_the_release_must_be_given(template):
    assert all(one["Description"] for one in template["Parameters"].values())
    assert {name for name, one in template["Parameters"].items() if "Default" not in one} == {
        "ReleaseUrl",
        "ReleaseSha256",
    }


def test_every_alarm_goes_somewhere(template):
    alarms = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert len(alarms) == 9
    assert all({"Ref": "Alarms"} in alarm["AlarmActions"] for alarm in alarms)


def test_the_alarm_on_silence_reads_the_line_that_the_archiver_writes(properties):
    """A space-delimited pattern of CloudWatch, against the log's format: words by number."""
    pattern = properties("ArchivedReadings")["FilterPattern"].strip("[]").split(", ")
    message = "archived %d readings as %s"
    assert message in archive.Archive.upload.__code__.co_consts
    record = logging.makeLogRecord(
        {"msg": message, "args": (50_000, "day=2026-11-23/x"), "name": archive.__name__, "levelname": "INFO"}
    )
    line = logging.Formatter(FORMAT).format(record)
    words = dict(zip([part.partition("=")[0] for part in pattern[:-1]], line.split(), strict=False))
    wanted = dict(part.split("=") for part in pattern if "=" in part)
    assert {name: words[name] for name in wanted} == wanted
    (metric,) = properties("ArchivedReadings")["MetricTransformations"]
    assert words[metric["MetricValue"].lstrip("$")] == "50000"
