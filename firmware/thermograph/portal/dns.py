"""Every name is ours (RFC 1035): so a phone's probe for a captive portal ends here. Pure; any bytes may come."""

import struct

_LIMIT = 300
_A, _ANY, _IN = 1, 255, 1
_TTL = 1  # s: the phone must not keep it when it is back in another network


def answer(query, address):
    """The reply's bytes, or None to a packet that is no query. address: 4 bytes."""
    if not 17 <= len(query) <= _LIMIT:
        return None
    number, flags, questions = struct.unpack_from("!HHH", query, 0)
    if flags & 0xF800 or questions != 1:  # an answer, or another operation than a query
        return None
    end = _name_end(query)
    if end is None or end + 4 > len(query):
        return None
    kind, group = struct.unpack_from("!HH", query, end)
    ours = group == _IN and kind in (_A, _ANY)
    head = struct.pack("!HHHHHH", number, 0x8480 | flags & 0x0100, 1, 1 if ours else 0, 0, 0)
    reply = head + bytes(query[12 : end + 4])
    if ours:
        reply += struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL, 4) + address
    return reply


def _name_end(query):
    at = 12
    while at < len(query):
        size = query[at]
        if size == 0:
            return at + 1
        if size > 63 or at - 12 > 255:
            return None
        at += 1 + size
    return None
