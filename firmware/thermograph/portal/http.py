"""HTTP/1.1 requests, as far as a form on a phone needs them (RFC 9112). Pure; any bytes may come."""

from collections import namedtuple

HEAD_LIMIT = 2048  # a phone's request head is some 600 bytes
BODY_LIMIT = 2048
_HEADERS = 40

# host: in lower case, without its port; body: bytes.
Request = namedtuple("Request", ("method", "path", "host", "body"))

_TEXTS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}


class HttpError(Exception):
    """status: what to answer."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def parse(data):
    """The Request of these first bytes of a connection, or None while it is not whole. HttpError."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or end > HEAD_LIMIT:
        if len(data) > HEAD_LIMIT:
            raise HttpError(431)
        return None
    lines = bytes(data[:end]).split(b"\r\n")
    if len(lines) > _HEADERS:
        raise HttpError(431)
    method, path = _first(lines[0])
    host, size = "", None
    for line in lines[1:]:
        name, value = _header(line)
        if name == b"host":
            host = _host(value)
        elif name == b"content-length":
            if size is not None or not value.isdigit() or len(value) > 8:
                raise HttpError(400)
            size = int(value)
        elif name == b"transfer-encoding":
            raise HttpError(501)
    if method == "POST" and size is None:
        raise HttpError(411)
    size = size or 0
    if size > BODY_LIMIT:
        raise HttpError(413)
    if len(data) < end + 4 + size:
        return None
    return Request(method, path, host, bytes(data[end + 4 : end + 4 + size]))


def head(status, size, kind="text/html; charset=utf-8", location=None):
    """The bytes before an answer's body."""
    text = "HTTP/1.1 %d %s\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Length: %d\r\n" % (
        status,
        _TEXTS[status],
        size,
    )
    if size:
        text += "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n" % kind
    if location:
        text += "Location: %s\r\n" % location
    return (text + "\r\n").encode()


def _first(line):
    """(method, path without its query) of the request line."""
    words = line.split(b" ")
    if len(words) != 3 or not all([_printable(word) for word in words]):
        raise HttpError(400)
    method, target, version = [str(word, "utf-8") for word in words]
    if not version.startswith("HTTP/1."):
        raise HttpError(505)
    if method not in ("GET", "HEAD", "POST"):
        raise HttpError(405)
    if target.startswith("http://"):  # a proxy's form: allowed, and some probes use it
        target = "/" + target[7:].split("/", 1)[1] if "/" in target[7:] else "/"
    if not target.startswith("/"):
        raise HttpError(400)
    return method, target.split("?")[0].split("#")[0]


def _header(line):
    at = line.find(b":")
    if at < 1 or not _printable(line[:at]):
        raise HttpError(400)
    return line[:at].lower(), line[at + 1 :].strip()


def _host(value):
    return str(value, "utf-8").lower().split(":")[0] if value and _printable(value) else ""


def _printable(data):
    return len(data) > 0 and all([0x21 <= byte <= 0x7E for byte in data])
