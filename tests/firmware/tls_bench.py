"""Certificates made for one test, and a broker that shows them."""

import datetime
import ipaddress
import socket

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from tests.ports import free_port

from device_bench import Mosquitto, wait_until

PLAIN = serialization.NoEncryption()
KEYS = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
}


class Authority:
    """A certificate authority; pem: what goes into broker.tls.ca. kind: of all keys, a name in KEYS; intermediate: the
    servers' certificates are signed by another one, whose certificate they bring along."""

    def __init__(self, name="Cold Chain Test CA", kind="ec", intermediate=False):
        self._make_key = KEYS[kind]
        self._name, self._key = _name(name), self._make_key()
        root = self._sign(_builder(self._name, self._name, self._key, -1, 100), True)
        self.pem = _pem(root)
        self._chain = ""
        if intermediate:
            name, key = _name(name + ", intermediate"), self._make_key()
            self._chain = _pem(self._sign(_builder(name, self._name, key, -1, 100), True))
            self._name, self._key = name, key

    def issue(self, path, names=("localhost", "127.0.0.1"), begin=-1, end=10):
        """Write a server's certificate, those it brings along, and its key to path; begin and end in days from now."""
        key = self._make_key()
        alternatives = [_alternative(name) for name in names]
        builder = _builder(_name(names[0]), self._name, key, begin, end)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, PLAIN).decode()
        path.write_text(_pem(self._sign(builder, False)) + self._chain + secret)
        return path

    def _sign(self, builder, authority):
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        return builder.sign(self._key, hashes.SHA256())


class TlsMosquitto(Mosquitto):
    """mosquitto with TLS on its port, and without on plain_port. It does not wait 40 ms for more to say (Nagle), which
    a simulated day of 1,440 messages would be full of."""

    def __init__(self, folder, certificate):
        self._certificate = certificate
        self.plain_port = free_port()
        super().__init__(folder)

    def start(self):
        text = self._config.read_text()
        if "certfile" not in text:
            more = "certfile %s\nkeyfile %s\nlistener %d 127.0.0.1\n"
            text = "set_tcp_nodelay true\n" + text
            self._config.write_text(text + more % (self._certificate, self._certificate, self.plain_port))
        super().start()
        wait_until(self._answers_plainly)

    def _answers_plainly(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.plain_port)) == 0


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject, issuer, key, begin, end):
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now + datetime.timedelta(begin)).not_valid_after(now + datetime.timedelta(end))


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
