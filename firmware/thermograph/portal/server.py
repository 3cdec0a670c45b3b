"""The portal's web server and name server: few connections, each bounded in size and time, none ever waited for."""

import errno
import select

from . import dns, http

_CLIENTS = 4
_DEADLINE = 6000  # ms for a request and its answer
_CHUNK = 512
_SLICE = 100  # ms of one wait, at most


class Server:
    """web: a listening TCP socket; names: a bound UDP socket, or None; address: ours, 4 bytes;
    answer(request) gives (status, pieces, location): pieces is a function that yields the page's bytes, or None."""

    def __init__(self, web, names, address, clock, answer):
        self._web = web
        self._names = names
        self._address = address
        self._clock = clock
        self._answer = answer
        self._clients = []
        self._poll = select.poll()
        for listener in (web, names):
            if listener is not None:
                listener.setblocking(False)
                self._poll.register(listener, select.POLLIN)

    def step(self, ms):
        """Wait up to ms for somebody, then serve what can be served without waiting."""
        self._poll.poll(max(0, min(ms, _SLICE)))
        self._serve_names()
        self._accept()
        now = self._clock.uptime()
        for client in list(self._clients):
            try:
                alive = now < client.deadline and self._serve(client)
            except OSError as error:
                alive = error.errno in (errno.EAGAIN, errno.EINPROGRESS)
            if not alive:
                self._drop(client)

    def busy(self):
        """Somebody waits for the rest of an answer."""
        return any([client.out is not None for client in self._clients])

    def close(self):
        for client in list(self._clients):
            self._drop(client)
        for listener in (self._web, self._names):
            if listener is not None:
                listener.close()

    def _serve_names(self):
        for _ in range(8 if self._names is not None else 0):
            try:
                query, sender = self._names.recvfrom(512)
                reply = dns.answer(query, self._address)
                if reply is not None:
                    self._names.sendto(reply, sender)
            except OSError:
                return  # nothing there, or nobody to tell

    def _accept(self):
        while len(self._clients) < _CLIENTS:
            try:
                raw, _ = self._web.accept()
            except OSError:
                return
            raw.setblocking(False)
            self._poll.register(raw, select.POLLIN)
            self._clients.append(_Client(raw, self._clock.uptime() + _DEADLINE))

    def _serve(self, client):
        """False when this client is done with."""
        if client.out is None and not self._read(client):
            return False
        while client.out is not None:
            if not client.pending:
                client.pending = next(client.out, b"")
            if not client.pending:
                return False
            client.pending = client.pending[client.raw.send(client.pending[:_CHUNK]) :]
        return True

    def _read(self, client):
        chunk = client.raw.recv(_CHUNK)
        if not chunk:
            return False
        client.data += chunk
        try:
            request = http.parse(client.data)
            if request is None:
                return True
            status, pieces, location = self._answer(request)
            silent = request.method == "HEAD"
        except http.HttpError as error:
            status, pieces, location, silent = error.status, None, None, False
        client.data = b""
        client.out = _reply(status, pieces, location, silent)
        self._poll.modify(client.raw, select.POLLOUT)
        return True

    def _drop(self, client):
        self._clients.remove(client)
        self._poll.unregister(client.raw)
        client.raw.close()


class _Client:
    def __init__(self, raw, deadline):
        self.raw = raw
        self.deadline = deadline
        self.data = b""
        self.out = None  # the answer's pieces, once there is one
        self.pending = b""


def _reply(status, pieces, location, silent):
    """Yield an answer's bytes. The page is made twice: once to count it."""
    size = sum([len(piece) for piece in pieces()]) if pieces else 0
    yield http.head(status, size, location=location)
    if pieces and not silent:
        for piece in pieces():
            yield piece
