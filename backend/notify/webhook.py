"""Webhooks: a signed POST of JSON to an address that a user chose, and that must not lead into our own network.

The host is looked up once, every address found must be a public one, and the connection goes to just that address: a
name that answers differently the second time gains nothing. Redirects are not followed.

The signature is in `Thermograph-Signature: t=SECONDS,v1=HEX`, HEX being HMAC-SHA256 over "SECONDS." and the body.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ..errors import DeliveryFailed, SettingsError
from ..settings import Secret
from .notice import Notice

TIMEOUT = 10.0
LONGEST_URL = 2000


@dataclass(frozen=True)
class Webhook:
    """inside: addresses of our own network are allowed (a setting of the server's owner, never of a user)."""

    url: str
    secret: Secret
    inside: bool = False


def check_url(url: str) -> SplitResult:
    """The parts of a URL that may be called. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        port_is_one = False
    if len(url) > LONGEST_URL or not port_is_one or any(ord(c) < 33 or ord(c) > 126 for c in url):
        raise SettingsError("That is no URL that can be called.", "Write it as https://example.org/hook.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise SettingsError(
            "A webhook's URL starts with http:// or https://, and holds no user name.",
            "Put a secret into the path, or check our signature.",
        )
    return parts


def sign(secret: Secret, body: bytes, seconds: int) -> str:
    digest = hmac.new(str(secret).encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def send(webhook: Webhook, notice: Notice) -> None:
    """Raises DeliveryFailed (`lasting` when another try cannot help), SettingsError."""
    parts = check_url(webhook.url)
    body = notice.json()
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "thermograph",
        "Idempotency-Key": f"{notice.id}",
        "Thermograph-Signature": sign(webhook.secret, body, int(time.time())),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts, _address(parts, webhook.inside))
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryFailed(f"{parts.hostname} did not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        # RFC 9110: 408, 425 and 429 ask for another try; the rest of 3xx and 4xx say the request itself is wrong.
        lasting = 300 <= status < 500 and status not in (408, 425, 429)
        raise DeliveryFailed(f"{parts.hostname} answered {status}", lasting)


def _address(parts: SplitResult, inside: bool) -> str:
    """The one address to call. Raises DeliveryFailed when the name leads inside, or nowhere."""
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryFailed(f"{parts.hostname} has no address: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not inside and not all(_is_public(address) for address in addresses):
        raise DeliveryFailed(f"{parts.hostname} is an address inside a network, which webhooks may not reach", True)
    return addresses[0]


def _is_public(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        # RFC 6052: 64:ff9b::/96 carries an IPv4 address, which a NAT64 would call.
        if one in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(one) & 0xFFFFFFFF).is_global
    return one.is_global and not one.is_multicast


def _connection(parts: SplitResult, address: str) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(address, parts.port or 80, timeout=TIMEOUT)
    return _PinnedHTTPS(host, address, parts.port or 443)


class _PinnedHTTPS(http.client.HTTPSConnection):
    """TLS for a host's name, over a connection to an address that was checked."""

    def __init__(self, host: str, address: str, port: int) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address = address
        self._context_for_host = ssl.create_default_context()

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), TIMEOUT)
        try:
            self.sock = self._context_for_host.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
