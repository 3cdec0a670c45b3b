"""Is a service ready? Each probe speaks the service's own protocol; an open port alone proves little."""

import http.client
import socket
import struct

from .ports import HOST

PATIENCE = 1.0


def http_answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def leads_to(port: int, path: str, place: str) -> bool:
    """Is who asks for path sent on to place?"""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().getheader("Location") == place
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def mqtt_accepts(port: int, user: str, password: str) -> bool:
    """CONNECT as user with a clean session; CONNACK 0 says that the broker knows its users and opened its store."""
    body = _text("MQTT") + b"\x04\xc2\x00\x05" + _text(f"thermograph-probe-{port}") + _text(user) + _text(password)
    try:
        with socket.create_connection((HOST, port), timeout=PATIENCE) as connection:
            connection.sendall(b"\x10" + bytes([len(body)]) + body)
            accepted = connection.recv(4) == b"\x20\x02\x00\x00"
            connection.sendall(b"\xe0\x00")
            return accepted
    except OSError:
        return False


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!H", len(encoded)) + encoded
