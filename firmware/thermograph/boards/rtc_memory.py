"""What of an ESP32 outlasts a reset or a deep sleep: its RTC memory, lost with the power. Loaded for a moment.

There are the schedule and the freed position of a Node that sleeps, how the clock was set, and its drift. To forget is
safe: then the device starts as new, with its flash, and nothing but the clock has to be found again.
"""

import json
from binascii import crc32

LIMIT = 2048  # bytes of RTC memory on an ESP32
_MAGIC = b"TG1"


def remember(board, node=None, late=None, sleeps=None, restarts=False):
    """Write it. node: what a Node gave to be remembered; late: ms from the end of a sleep to the first line of
    esp32_start.py; sleeps: ms of the sleep that begins; restarts: a reset of our own comes. raw: the board's own clock,
    which goes on in a sleep."""
    clock = board.clock
    fields = {
        "clock": clock.now()[1],
        "drift": clock.drift,
        "set_at": board.set_at,
        "node": node,
        "late": board.late if late is None else late,
        "sleeps": sleeps,
        "restarts": restarts,
        "uptime": clock.uptime(),
        "raw": board.time.time_ns() // 1000000,
    }
    board.rtc.memory(pack(fields))


def set_clock(board, t):
    """The time is t (Unix ms): the board's own clock goes on over resets."""
    seconds = t // 1000 - (946684800 if board.time.gmtime(0)[0] == 2000 else 0)
    year, month, day, hour, minute, second, weekday = board.time.gmtime(seconds)[:7]
    board.rtc.datetime((year, month, day, weekday, hour, minute, second, t % 1000 * 1000))
    board.set_at = t
    remember(board)


def pack(fields):
    """RTC memory's bytes, or b"" if they are too many: it is a convenience, and to forget is safe."""
    data = _MAGIC + json.dumps(fields).encode()
    data += crc32(data).to_bytes(4, "little")
    return data if len(data) <= LIMIT else b""


def unpack(data):
    """The dict that pack was given, or None: after a power cut there is anything in it."""
    data = bytes(data)
    if len(data) < 9 or len(data) > LIMIT or data[:3] != _MAGIC:
        return None
    if crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    try:
        fields = json.loads(str(data[3:-4], "utf-8"))
    except (ValueError, RuntimeError):
        return None
    return fields if isinstance(fields, dict) else None
