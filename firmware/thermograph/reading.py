"""Reading, Kept, Gap, and how they are written on the wire, version 1 (DESIGN section 3). Pure: no I/O, no clock.

Golden examples: tests/wire/v1. Text is put together by hand because a float32 as json.dumps writes it
(4.309999942779541) is twice as long as it has to be.
"""

import json
import struct
from collections import namedtuple

# The order of these two is stored on flash (sector.py): append only.
QUALITIES = ("ntp", "rtc", "none")
FAULTS = ("absent", "crc", "out-of-range", "power-on", "stuck", "timeout", "error")

FLASH_FULL = "flash-full"
FLASH_CORRUPT = "flash-corrupt"
POWER_CUT = "power-cut"
BACKEND_LOST = "backend-lost"

MESSAGE_LIMIT = 1024
SEQ_LIMIT = 1 << 40  # the backend takes no larger one
_ACK_LIMIT = 128  # an ack is about 40 bytes; a longer one is not parsed, so it cannot nest deeply either

# t: Unix ms UTC, or uptime in ms if quality is "none". Exactly one of value and fault is None.
Reading = namedtuple("Reading", ("t", "quality", "sensor", "unit", "value", "fault"))
# A reading with its place in the stream, and the number of the boot that sampled it.
Kept = namedtuple("Kept", ("seq", "boot", "reading"))
# Both ends belong to the gap.
Gap = namedtuple("Gap", ("first", "last", "cause"))


class Batch:
    """A telemetry message in the making: consecutive seq, one time quality, and one boot if that is "none"."""

    def __init__(self, stream, kept, limit=MESSAGE_LIMIT):
        self._stream = stream
        self._limit = limit
        self._start = kept
        self._channels = []
        self._names = []  # the same as JSON
        self._rows = []
        self._size = 0
        self.last = kept.seq - 1
        self.add(kept)

    def add(self, kept):
        """Take one more; False if it belongs into another message. The first always fits."""
        if not self._belongs(kept):
            return False
        reading = kept.reading
        channel = (reading.sensor, reading.unit)
        name = None if channel in self._channels else _dumps(channel)
        index = self._channels.index(channel) if name is None else len(self._channels)
        row = _row(reading.t - self._start.reading.t, index, reading)
        size = len(row) + 1 + (0 if name is None else len(name) + 1)
        if self._rows and self._size + size > self._limit - 160:  # 160: the longest head, now and boot included
            return False
        if name is not None:
            self._channels.append(channel)
            self._names.append(name)
        self._rows.append(row)
        self._size += size
        self.last = kept.seq
        return True

    def _belongs(self, kept):
        start = self._start
        return (
            kept.seq == self.last + 1
            and kept.reading.quality == start.reading.quality
            and (start.reading.quality != "none" or kept.boot == start.boot)
        )

    def encode(self, now):
        """The message's bytes; now is the uptime in ms at sending, used where there is no clock."""
        start = self._start
        text = '{"v":1,"stream":"%s","seq":%d,"t":%d,"tq":"%s"' % (
            self._stream,
            start.seq,
            start.reading.t,
            start.reading.quality,
        )
        if start.reading.quality == "none":
            text += ',"boot":%d,"now":%d' % (start.boot, now)
        text += ',"ch":[%s],"r":[%s]}' % (",".join(self._names), ",".join(self._rows))
        return text.encode()


def gap(stream, lost):
    """The message that names a gap."""
    text = '{"v":1,"stream":"%s","gap":[%d,%d],"cause":"%s"}'
    return (text % (stream, lost.first, lost.last, lost.cause)).encode()


def state(stream, seq, firmware, health, outbox, settings):
    """The health message. health: reset, uptime (s), free and block (bytes), rssi (dBm or None), and what node.py
    adds; outbox: depth and capacity in readings; settings: their revision. stream, seq and outbox are None where
    even the Outbox cannot be opened: then they are left out."""
    message = {"v": 1, "firmware": firmware, "settings": settings}
    if stream is not None:
        message.update({"stream": stream, "seq": seq, "outbox": outbox})
    message.update(health)
    return _dumps(message).encode()


def ack(payload):
    """(stream, seq) of an application ack's bytes, or None if they are no ack."""
    if len(payload) > _ACK_LIMIT:
        return None
    try:
        message = json.loads(str(payload, "utf-8"))
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    stream, seq = message.get("stream"), message.get("seq")
    if type(seq) is not int or not 0 <= seq <= SEQ_LIMIT:  # type(): True is an instance of CPython's int
        return None
    if not isinstance(stream, str) or len(stream) != 8 or any(c not in "0123456789abcdef" for c in stream):
        return None
    return stream, seq


def shortest(value):
    """The shortest decimal text that reads back as the same float32; |value| <= 1e30."""
    exact = struct.pack("<f", value)
    for form in ("%.6g", "%.7g", "%.8g"):  # what fits into fewer digits is the same text: %g leaves zeros out
        text = form % value
        if struct.pack("<f", float(text)) == exact:
            return text
    return "%.9g" % value


def _row(dt, channel, reading):
    if reading.fault is not None:
        return '[%d,%d,null,"%s"]' % (dt, channel, reading.fault)
    return "[%d,%d,%s]" % (dt, channel, shortest(reading.value))


def _dumps(value):
    return json.dumps(value, separators=(",", ":"))
