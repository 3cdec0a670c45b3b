"""A client of S3, chosen as the AWS CLI chooses it; and S3's refusals as sentences."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from backend.errors import AlreadyThere, NotFound, ObjectStoreUnavailable, SettingsError, ThermographError

REFUSALS: dict[str, tuple[type[ThermographError], str, str]] = {
    "AccessDenied": (
        ObjectStoreUnavailable,
        "these credentials may not do that",
        "Check the policy of their user or role.",
    ),
    "403": (ObjectStoreUnavailable, "these credentials may not do that", "Check the policy of their user or role."),
    "InvalidAccessKeyId": (SettingsError, "it does not know this access key", "Check AWS_ACCESS_KEY_ID or --profile."),
    "SignatureDoesNotMatch": (SettingsError, "the secret key is wrong", "Check AWS_SECRET_ACCESS_KEY or --profile."),
    "ExpiredToken": (SettingsError, "the credentials have expired", "Sign in again: aws sso login, or new keys."),
    "RequestTimeTooSkewed": (SettingsError, "this machine's clock is wrong", "Set the clock, then try again."),
    "NoSuchBucket": (NotFound, "there is no such bucket", "List yours: python -m tools buckets"),
    "NoSuchKey": (NotFound, "there is no such object", "Check the key: it is case-sensitive."),
    "404": (NotFound, "there is no such bucket or object", "List your buckets: python -m tools buckets"),
    "PreconditionFailed": (
        AlreadyThere,
        "an object is there already",
        "Choose another key, or replace it with --force.",
    ),
    "412": (AlreadyThere, "the object has changed meanwhile", "Try again."),
}


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """--profile, --region, --endpoint-url and --state-dir, the same for every command."""
    for option in (
        click.option(
            "--state-dir",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Use the S3 server of the `make run` whose state folder this is; it must be running.",
        ),
        click.option("--endpoint-url", help="An S3 server that is not Amazon's, such as http://127.0.0.1:9000."),
        click.option("--region", help="AWS region.  [default: that of the profile, else us-east-1]"),
        click.option("--profile", help="Profile of ~/.aws/config and ~/.aws/credentials."),
    ):
        command = option(command)
    return command


def connect(
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    state_dir: Path | None = None,
) -> Any:
    """A boto3 client. Credentials come from boto3's own chain. Raises SettingsError."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    if state_dir is not None:
        from backend.run.environment import load

        found = load(state_dir)
        os.environ.update(found)  # boto3 looks for its credentials there
        endpoint_url = endpoint_url or found["THERMOGRAPH_S3_ENDPOINT"]
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        return session.client(
            "s3",
            region_name=session.region_name or "us-east-1",
            endpoint_url=endpoint_url,
            config=Config(
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 5},
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"{error}.", "List your profiles: aws configure list-profiles") from None


@contextmanager
def told(what: str) -> Iterator[None]:
    """S3's refusals while doing `what`, as errors that say what to do next. Raises ThermographError."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        kind, why, advice = REFUSALS.get(code, (ObjectStoreUnavailable, str(error), ""))
        raise kind(f"{what}: S3 says: {why} ({code}).", advice) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SettingsError(
            f"{what}: there are no credentials for S3.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a --profile, or run: aws configure",
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise ObjectStoreUnavailable(
            f"{what}: S3 did not answer: {error}.", "Check --endpoint-url and --region."
        ) from error
