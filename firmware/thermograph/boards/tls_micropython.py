"""TLS on MicroPython: its tls module, for its ssl module (micropython-lib) verifies nothing unless told.

Nothing here waits. extmod/modtls_mbedtls.c loops over a handshake only if it is done on connecting; else each write is
one attempt to go on, which ends in EAGAIN (None here) whenever the socket would block, and the deadline is the
caller's (packets.py). So a handshake that never ends, as it does where ESP-IDF's memory is short, ends there.
"""

import select

import tls


def context(ca):
    """ca: PEM text. ValueError if it is none."""
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.verify_mode = tls.CERT_REQUIRED
    made.load_verify_locations(ca.encode() + b"\0")  # Mbed TLS takes PEM with its end marked only
    return made


class Secure:
    """A Stream through TLS. The first send does the handshake, again and again until it takes something."""

    def __init__(self, stream, made, host):
        self._stream = stream
        self._tls = made.wrap_socket(stream.raw, server_hostname=host, do_handshake_on_connect=False)
        self._tls.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._tls, select.POLLIN)

    def send(self, data):
        return self._tls.write(data)

    def recv(self, size):
        return self._tls.read(size)

    def wait(self, writing, ms):
        """Mbed TLS knows what it waits for: a send may have to hear first."""
        self._poll.modify(self._tls, select.POLLOUT if writing else select.POLLIN)
        return bool(self._poll.poll(ms))

    def close(self):
        try:
            self._tls.close()
        except OSError:
            pass  # its farewell does not get through
        self._stream.close()
