"""tls, as MicroPython has it, on ESP-IDF's memory (fakes/idf.py): what a handshake takes, and how it fails without it.

A lack shows as MicroPython shows it: never by its name. `lack` chooses which of the ways it is.
"""

import chip
from idf import CHAINS

PROTOCOL_TLS_CLIENT = 0
CERT_REQUIRED = 2
NOT_SIGNED = "The certificate is not correctly signed by the trusted CA\n"
CONNACK = b"\x20\x02\x00\x00"

chain = "EC"
lack = "not signed"
wrong = None  # the error of a server that is really wrong


class SSLContext:
    def __init__(self, protocol):
        assert protocol == PROTOCOL_TLS_CLIENT

    def load_verify_locations(self, pem):
        assert pem.endswith(b"\0")

    def wrap_socket(self, raw, server_hostname, do_handshake_on_connect):
        assert not do_handshake_on_connect, "it may never return"
        return SSLSocket()


class SSLSocket:
    """The first write takes what stays, the second does the work; each that comes later is sent."""

    def __init__(self):
        self._taken = None
        self._done = False
        self._said = b""

    def setblocking(self, flag):
        assert not flag

    def write(self, data):
        if self._done:
            return len(data)
        if wrong is not None:
            raise wrong
        peak, held = CHAINS[chain]
        if self._taken is None:
            self._taken = chip.now.idf.take(held)
            return None if self._taken else fail()
        work = chip.now.idf.take(peak - held)
        if work is None:
            return fail()
        chip.now.idf.give(work)
        self._done, self._said = True, CONNACK

    def read(self, size):
        said, self._said = self._said[:size], self._said[size:]
        return said or None

    def close(self):
        if self._taken:
            chip.now.idf.give(self._taken)
        self._taken = None


def fail():
    """None, for ever, if it hangs."""
    if lack == "not signed":
        raise ValueError(NOT_SIGNED)
    if lack != "hangs":
        raise OSError(lack)


class Poll:
    """select.poll of such sockets: they can always go on, after 10 ms."""

    def register(self, what, events):
        pass

    modify = register

    def poll(self, ms):
        chip.now.pass_ms(10)
        return [1]
