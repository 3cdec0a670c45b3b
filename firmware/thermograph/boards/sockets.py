"""Sockets that never block, the same on every board: what Link, Resolver and Sntp ask of a network."""

import errno
import select
import socket
import sys

from ..names import Names, is_address


class Sockets:
    """A board's network. name_servers(): texts "IP" or "IP:PORT"; entropy(size): random bytes.

    A board with Wi-Fi overrides up and trouble. guard: a boards.memory.Guard, where memory is short."""

    trouble = guard = None
    up_since = 0  # uptime, or None while there is no network
    failures = 0  # connections in a row that failed though there was one

    def __init__(self, clock, entropy, name_servers):
        self.servers = name_servers
        self.names = Names(self, clock, entropy)
        self._nothing = select.poll()
        self._context = None

    def up(self):
        """True if there is a network; trouble says why not."""
        return True

    def known(self, host):
        """The address of a name that needs no name server, or None."""
        return None

    def stream(self, ip, port):
        """A Stream that is being connected."""
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            return Stream(raw, _address(ip, port))
        except OSError:
            raw.close()
            raise

    def udp(self, ip, port):
        """A UDP socket that hears this address only: send, recv (OSError EAGAIN: nothing there), close."""
        raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            raw.setblocking(False)
            raw.connect(_address(ip, port))
        except OSError:
            raw.close()
            raise
        return raw

    def pause(self, ms, waited_for=None):
        """Until this UDP socket has something, but at most ms."""
        poll = self._nothing
        if waited_for is not None:
            poll = select.poll()
            poll.register(waited_for, select.POLLIN)
        poll.poll(ms)

    def secure(self, stream, broker):
        """TLS over this Stream, to a server whose certificate is for broker.host and signed by one of broker.ca, PEM.
        ValueError, here or at its first send, if the certificate or ca is none of that; LinkError if there is no memory
        for it. Made when it is first needed; then the text of ca is let go: it has up to 8 kB."""
        if self.guard is not None:
            self.guard.do("make_room")
            stream.guard = self.guard
        if sys.implementation.name == "micropython":
            from . import tls_micropython as tls
        else:
            from . import tls_cpython as tls
        if self._context is None:
            self._context = tls.context(broker.ca)
            broker.ca = None
        return tls.Secure(stream, self._context, broker.host)


class Stream:
    """A TCP connection. send: the count of bytes taken; recv: bytes, empty at the end; both None: not now. guard: gets
    back the memory that was made room for."""

    guard = None

    def __init__(self, raw, address):
        self.raw = raw
        raw.setblocking(False)
        try:
            raw.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        self._poll = select.poll()
        self._poll.register(raw, select.POLLOUT)

    def send(self, data):
        try:
            return self.raw.send(data)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise

    def recv(self, size):
        try:
            return self.raw.recv(size)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise

    def wait(self, writing, ms):
        """True as soon as a send (writing) or recv may do something, False after ms. OSError if it is broken."""
        self._poll.modify(self.raw, select.POLLOUT if writing else select.POLLIN)
        found = self._poll.poll(ms)
        if found and writing and found[0][1] & (select.POLLERR | select.POLLHUP):
            raise OSError(errno.ECONNREFUSED)
        return bool(found)

    def close(self):
        self.raw.close()
        if self.guard is not None:
            try:
                self.guard.do("hold")
            except MemoryError:
                pass  # it is held from the next connection's end on


def _address(ip, port):
    """What connect wants: made by getaddrinfo, which is quick for an address and slow for a name."""
    if not is_address(ip):
        raise OSError(errno.EINVAL)
    return socket.getaddrinfo(ip, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
