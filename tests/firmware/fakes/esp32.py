"""esp32, as MicroPython has it: partitions that are NOR flash, and ESP-IDF's heap."""

import chip

HEAP_DATA = 4
WAKEUP_ALL_LOW = 0


def idf_heap_info(kind):
    assert kind == HEAP_DATA
    return chip.now.idf.regions()


def wake_on_ext0(pin, level):
    assert level == WAKEUP_ALL_LOW


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1

    def __init__(self, cells):
        self._cells = cells

    @staticmethod
    def find(type=0, subtype=255, label=None, block_size=4096):
        return [Partition(cells) for name, cells in chip.now.flash.items() if type == 1 and label in (None, name)]

    def readblocks(self, block, buffer, offset=0):
        at = self._place(block, offset, len(buffer))
        buffer[:] = self._cells[at : at + len(buffer)]

    def writeblocks(self, block, data, offset=None):
        """Without an offset it erases first (esp32_partition.c)."""
        at = self._place(block, offset or 0, len(data))
        if offset is None:
            self._erase(at, len(data))
        old = self._cells[at : at + len(data)]
        new = bytes([was & now for was, now in zip(old, data)])
        chip.now.step(self._cells, at, new)

    def ioctl(self, command, argument):
        if command == 4:
            return len(self._cells) // 4096
        if command == 5:
            return 4096
        if command == 6:
            self._erase(self._place(argument, 0, 4096), 4096)
            return 0

    def _erase(self, at, size):
        assert at % 4096 == 0 and size % 4096 == 0, "ESP_ERR_INVALID_SIZE"
        chip.now.step(self._cells, at, b"\xff" * size)

    def _place(self, block, offset, size):
        at = block * 4096 + offset
        if not 0 <= at <= len(self._cells) - size:
            raise OSError(-258)  # ESP_ERR_INVALID_SIZE
        return at
