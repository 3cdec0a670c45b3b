"""TLS on CPython, with the ways of tls_micropython.py."""

import select
import ssl


def context(ca):
    """ca: PEM text. ValueError if it is none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies name, date and signature
    try:
        made.load_verify_locations(cadata=ca)
    except ssl.SSLError:
        raise ValueError("broker.tls.ca holds no certificate")
    return made


class Secure:
    """A Stream through TLS. The first send does the handshake, again and again until it takes something."""

    def __init__(self, stream, made, host):
        self._tls = made.wrap_socket(stream.raw, server_hostname=host, do_handshake_on_connect=False)
        self._wants = 0
        self._ready = False
        self._poll = select.poll()
        self._poll.register(self._tls, select.POLLIN)

    def send(self, data):
        if not self._ready:
            self._try(self._tls.do_handshake)
            if self._wants:
                return None
            self._ready = True
        return self._try(self._tls.send, data)

    def recv(self, size):
        return self._try(self._tls.recv, size)

    def wait(self, writing, ms):
        if not writing and self._tls.pending():
            return True
        self._poll.modify(self._tls, self._wants or (select.POLLOUT if writing else select.POLLIN))
        return bool(self._poll.poll(ms))

    def close(self):
        self._tls.close()

    def _try(self, call, *args):
        """What it returns, or None: not now."""
        self._wants = 0
        try:
            return call(*args)
        except ssl.SSLWantReadError:
            self._wants = select.POLLIN
        except ssl.SSLWantWriteError:
            self._wants = select.POLLOUT
        except ssl.SSLCertVerificationError as error:
            raise ValueError(error.verify_message)
