"""The way to a broker, step by step. Loaded for each connection (link.py).

    wifi ──> dns ──> tcp ──> tls ──> mqtt

Each step has a deadline of its own, and fails as a LinkError that names it.
"""

import struct

from .errors import LinkError
from .packets import SLICE, Packets

_CONNECT, _CONNACK = 0x10, 0x20
_REFUSALS = ("protocol version", "client identifier", "server unavailable", "user name or password", "not authorized")


def connect(link, clean_session):
    """Open the connection of a Link that has none, and sign in."""
    within = link.within
    packet = _connect_packet(link, clean_session)
    within("wifi", _join, link)
    ip = within("dns", _resolve, link)
    within("tcp", _open, link, ip)
    if link.tls:
        within("tls", _secure, link, packet)
    else:
        within("mqtt", link.sock.write, packet)
    within("mqtt", _sign_in, link)


def _join(link):
    network = link.network
    while not network.up():
        if link.clock.uptime() >= link.deadline:
            raise LinkError(network.trouble, "wifi")
        network.pause(max(0, min(link.on_wait(), SLICE)))


def _resolve(link):
    names = link.network.names
    ip = names.address(link.server)
    if ip is not None:
        return ip
    lookup = names.lookup(link.server, link.timeout)
    try:
        while ip is None:
            ip = lookup.step()  # LinkError at the deadline
            if ip is None:
                link.network.pause(max(0, min(link.on_wait(), SLICE)), lookup.socket)
        return ip
    finally:
        names.end(lookup)


def _open(link, ip):
    try:
        link.sock = Packets(link.network.stream(ip, link.port), link.clock, link.on_wait)
        link.sock.deadline, link.sock.step = link.deadline, "tcp"
        link.sock.until(writing=True)
    except (OSError, LinkError) as error:
        link.network.names.forget(link.server)
        text = "no answer" if isinstance(error, LinkError) else "refused or lost (%s)" % error
        raise LinkError("%s port %d: %s" % (ip, link.port, text), "tcp")


def _secure(link, packet):
    """The handshake is done by the first packet's way out."""
    if link.clock.now()[1] == "none":
        raise LinkError("the clock is not set, so no certificate can be checked", "tls")
    try:
        link.sock.stream = link.network.secure(link.sock.stream, link.tls)
        link.sock.write(packet)
    except ValueError as error:
        raise LinkError("the broker's certificate is refused: %s" % str(error).strip(), "tls")


def _sign_in(link):
    link.sock.take()
    reply = link.sock.read(4)
    if reply[0] != _CONNACK or reply[1] != 2:
        raise LinkError("the broker's first words are no CONNACK")
    if reply[3]:
        reason = _REFUSALS[reply[3] - 1] if reply[3] <= len(_REFUSALS) else "code %d" % reply[3]
        raise LinkError("the broker refuses: %s" % reason)


def _connect_packet(link, clean_session):
    """Section 3.1; not umqtt's, which would open a blocking socket before it."""
    flags = 2 if clean_session else 0
    fields = [link.client_id]
    if link.lw_topic:
        flags |= 4 | link.lw_qos << 3 | (32 if link.lw_retain else 0)
        fields += [link.lw_topic, link.lw_msg]
    if link.user is not None:
        flags |= 0xC0
        fields += [link.user.encode(), link.pswd.encode()]
    body = b"\0\x04MQTT\x04" + struct.pack("!BH", flags, link.keepalive)
    for field in fields:
        body += struct.pack("!H", len(field)) + field
    size = len(body)
    head = bytes((_CONNECT, size)) if size < 128 else bytes((_CONNECT, size & 127 | 128, size >> 7))
    return head + body
