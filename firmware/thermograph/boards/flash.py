"""Flash for the Outbox on an ESP32: a partition of its own. sector_files.py is for boards without one."""

SECTOR = 4096
_COUNT, _ERASE = 4, 6  # MP_BLOCKDEV_IOCTL_


class PartitionFlash:
    """An esp32.Partition: writeblocks with an offset programs, and never erases."""

    def __init__(self, partition):
        self._partition = partition
        self.size = partition.ioctl(_COUNT, 0) * SECTOR

    def read(self, offset, buffer):
        self._partition.readblocks(offset // SECTOR, buffer, offset % SECTOR)

    def program(self, offset, data):
        self._partition.writeblocks(offset // SECTOR, data, offset % SECTOR)

    def erase(self, sector):
        self._partition.ioctl(_ERASE, sector)
