"""Battery: deep sleep between samples. What must outlive it cheaply is in RTC memory; readings are on flash.

A wake is a boot: it mounts the Outbox, samples, sends if the send policy says so, and sleeps. RTC memory is lost when
the power is; then the device starts as new, with its flash, and nothing but the clock has to be found again.
"""

import json
from binascii import crc32

LIMIT = 2048  # bytes of RTC memory on an ESP32
_MAGIC = b"TG1"
_SHORTEST = 500  # ms; a wake costs more than such a sleep saves
_LONGEST = 86400000


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


class Sleeper:
    """A Node that sleeps between its samples."""

    def __init__(self, board, node):
        self._board = board
        self._node = node

    def run(self):
        """Until KeyboardInterrupt; on a board that sleeps it does not return, for a wake is a boot."""
        board, node = self._board, self._node
        kept = board.memory()
        if kept:
            node.restore(kept, board.slept())
        try:
            while True:
                node.step()
                spare = min(node.rest(), _LONGEST)
                if spare >= _SHORTEST and not board.awake():
                    node.close()
                    board.sleep(spare, node.memory())
        finally:
            node.close()
