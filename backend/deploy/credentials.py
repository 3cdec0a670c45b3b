"""python -m backend.deploy.credentials DATABASE_SECRET BROKER_SECRET FILE: passwords from AWS Secrets Manager.

Writes the backend's settings that are secret as an environment file for systemd, which only its owner may read.
The secrets are those of thermograph.yaml: JSON with "username" and "password". The role of the machine opens them.
"""

import json
import re
from pathlib import Path

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .. import private
from ..errors import SettingsError, ThermographError, Unavailable
from ..settings import Secret, variable

PLAIN = re.compile(r"[A-Za-z0-9._~+/=@:,-]+")


def fetch(secret_id: str) -> tuple[str, Secret]:
    """(user, password) of a secret.

    Raises Unavailable when Secrets Manager does not give it, SettingsError when it holds something else.
    """
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})
    client = boto3.Session().client("secretsmanager", config=config)
    try:
        text = client.get_secret_value(SecretId=secret_id)["SecretString"]
    except (ClientError, BotoCoreError) as error:
        raise Unavailable(
            f"Secrets Manager did not give {secret_id}: {error}.",
            "Check that the machine's role may read it: secretsmanager:GetSecretValue.",
        ) from error
    try:
        found = json.loads(text)
        return str(found["username"]), Secret(found["password"])
    except (ValueError, KeyError, TypeError):
        raise SettingsError(
            f"{secret_id} is no JSON object with username and password.", "Put one into it, as thermograph.yaml does."
        ) from None


def environment(database_password: Secret, broker_user: str, broker_password: Secret) -> str:
    """The text of the environment file. Raises SettingsError for what such a file could not hold on a line."""
    values = {
        "database_password": database_password,
        "broker_user": broker_user,
        "broker_password": broker_password,
    }
    for name, value in values.items():
        if not PLAIN.fullmatch(value):
            raise SettingsError(
                f"The secret for {variable(name)} has characters that systemd would read in a way of its own.",
                "Make one of letters, digits and . _ ~ + / = @ : , -",
            )
    return "".join(f"{variable(name)}={value}\n" for name, value in values.items())


@click.command()
@click.argument("database_secret")
@click.argument("broker_secret")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def main(database_secret: str, broker_secret: str, file: Path) -> None:
    """Write the passwords of the secrets DATABASE_SECRET and BROKER_SECRET to FILE, for systemd's EnvironmentFile."""
    try:
        _, database_password = fetch(database_secret)
        private.write(file, environment(database_password, *fetch(broker_secret)))
    except ThermographError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main(prog_name="python -m backend.deploy.credentials")
