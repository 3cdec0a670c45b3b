"""What the tests of `flash` share: a backend to flash for, and the command as a person gives it."""

import datetime
import json

from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.database import Database
from tests.servers import Mosquitto
from tools.commands import tools

WIFI_PASSWORD = "wifi-password-of-the-person"
SENSORS = [{"kind": "simulated", "id": "28ff641e8216c3a1", "seed": 7}]
QUICK = {"interval": 0.5, "sensors": SENSORS, "broker": {"timeout": 0.3}}


class Desk:
    """A person's desk: settings of a backend in the environment, and a home folder of its own.

    Its broker takes anybody, and nobody listens to it: with it a board comes as far as to the ingest.
    """

    def __init__(self, folder):
        self.folder = folder
        self.broker = Mosquitto(folder / "broker")
        self.state = folder / "state"
        self.environment = {
            "THERMOGRAPH_DATABASE": f"sqlite:///{folder}/thermograph.db",
            "THERMOGRAPH_STATE_DIR": str(self.state),
            "THERMOGRAPH_BROKER": f"mqtt://127.0.0.1:{self.broker.port}",
            "XDG_CONFIG_HOME": str(folder / "home" / "config"),
            "XDG_CACHE_HOME": str(folder / "home" / "cache"),
            "XDG_STATE_HOME": str(folder / "home" / "state"),
        }

    def open(self):
        self.broker.start()
        database = Database(self.environment["THERMOGRAPH_DATABASE"])
        database.migrate()
        database.close()
        return self

    def settings_file(self, **fields):
        file = self.folder / "more.json"
        file.write_text(json.dumps({**QUICK, **fields}))
        return str(file)

    def secrets(self):
        """All that must not be in any output."""
        registered = json.loads((self.state / "devices.json").read_text()) if self.state.exists() else {}
        return [WIFI_PASSWORD, *(one["password"] for one in registered.values())]

    def run(self, *words, stdin=None):
        return CliRunner().invoke(tools, [*map(str, words)], env=self.environment, input=stdin)


def write_certificate(path, name):
    """A certificate that signs itself, with its key, in one PEM file; its certificate alone as text."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_text(text + secret.decode())
    return text
