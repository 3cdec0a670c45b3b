"""The CloudFormation template, parsed; and the stack that moto makes of it."""

import base64
from pathlib import Path

import boto3
import pytest
from cfnlint.decode import decode
from moto import mock_aws

from backend.settings import Settings

DEPLOY = Path(__file__).parents[2] / "backend" / "deploy"
TEMPLATE = DEPLOY / "thermograph.yaml"
REGION = "us-east-1"
STACK = "tg"
# Amazon publishes it in every account; moto's knows none of Debian's.
DEBIAN = "/aws/service/debian/release/12/latest/arm64"
GIVEN = {"ReleaseUrl": "https://example.org/thermograph.tar.gz", "ReleaseSha256": "ab" * 32, "ArchivePrefix": "cold"}


@pytest.fixture(scope="session")
def template():
    found, complaints = decode(str(TEMPLATE))
    assert complaints == []
    return found


@pytest.fixture(scope="session")
def properties(template):
    """The properties of a resource, by its name in the template."""
    return lambda name: template["Resources"][name]["Properties"]


class Stack:
    """What moto made of the template. made: physical names by the template's; dropped: types it cannot make."""

    def __init__(self, template, **parameters):
        ssm = boto3.Session().client("ssm")
        image = boto3.Session().client("ec2").describe_images()["Images"][0]["ImageId"]
        ssm.put_parameter(Name="/test/debian", Value=image, Type="String", Overwrite=True)
        client = boto3.Session().client("cloudformation")
        given = {**GIVEN, "ImageId": "/test/debian", **parameters}
        client.create_stack(
            StackName=STACK,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8").replace(DEBIAN, "/test/debian"),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
        self.description = client.describe_stacks(StackName=STACK)["Stacks"][0]
        resources = client.describe_stack_resources(StackName=STACK)["StackResources"]
        self.made = {
            one["LogicalResourceId"]: one.get("PhysicalResourceId") for one in resources if "LogicalResourceId" in one
        }
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in self.description["Outputs"]}
        unwanted = "CompactsOnHost" if parameters.get("CompactorBucket") else "HasLambda"
        wanted = {name: one for name, one in template["Resources"].items() if one.get("Condition") != unwanted}
        self.dropped = {wanted[name]["Type"] for name in wanted.keys() - self.made.keys()}

    def host(self):
        reservations = boto3.Session().client("ec2").describe_instances(InstanceIds=[self.made["Host"]])["Reservations"]
        return reservations[0]["Instances"][0]

    def user_data(self):
        answer = (
            boto3.Session()
            .client("ec2")
            .describe_instance_attribute(InstanceId=self.made["Host"], Attribute="userData")
        )
        return base64.b64decode(answer["UserData"]["Value"]).decode()

    def settings(self):
        return Settings(s3_bucket=self.outputs["ArchiveBucket"], s3_prefix=GIVEN["ArchivePrefix"], s3_region=REGION)


@pytest.fixture(scope="module")
def aws():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield


@pytest.fixture(scope="module")
def stack(aws, template):
    """With everything that is optional: it takes moto some seconds."""
    with pytest.warns(UserWarning, match="not supported by moto"):
        return Stack(template, GatewayCidr="10.0.0.0/8", AlarmMail="someone@example.org", BrokerName="mqtt.example.org")
