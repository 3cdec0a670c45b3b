"""A board's file system on MicroPython: its own VfsLfs2 over a block device that counts, and whose power can be cut.

As on an ESP32: blocks of 4096 bytes, read, prog and lookahead sizes of 32, 2 MiB. A file that is left open is closed by
the collector, in the middle of anything: so tests close what they drop while its device lives.
"""

import vfs

from nor import Random, torn

BLOCK = 4096


class Device:
    """reads, programs, erases: calls since count(). fuse: programs and erases until the power goes, None for never;
    mode: how it goes; dead: it is gone, and each call fails."""

    def __init__(self, blocks=512, cells=None):
        self.blocks = blocks
        self.cells = cells if cells is not None else bytearray(b"\xff" * (blocks * BLOCK))
        self.fuse = None
        self.mode = "after"
        self.dead = False
        self.random = Random(1)
        self.count()

    def count(self):
        """[reads, programs, erases] since the last time."""
        counted = [self.reads, self.programs, self.erases] if hasattr(self, "reads") else None
        self.reads = self.programs = self.erases = 0
        return counted

    def readblocks(self, block, buffer, offset=0):
        if self.dead:
            return -5
        self.reads += 1
        start = block * BLOCK + offset
        buffer[:] = memoryview(self.cells)[start : start + len(buffer)]

    def writeblocks(self, block, data, offset=0):
        self.programs += 1
        start = block * BLOCK + offset
        return self._step(start, data)

    def ioctl(self, what, argument):
        if what == 4:
            return self.blocks
        if what == 5:
            return BLOCK
        if what == 6:
            self.erases += 1
            return self._step(argument * BLOCK, None)
        return 0

    def _step(self, start, data):
        if self.dead:
            return -5
        if data is None:
            data = b"\xff" * BLOCK
        if self.fuse == 0:
            old = bytes(self.cells[start : start + len(data)])
            self.cells[start : start + len(data)] = torn(self.mode, old, bytes(data), self.random)
            self.dead = True
            return -5  # not raised: littlefs goes back through its own code, and can do no more
        if self.fuse is not None:
            self.fuse -= 1
        self.cells[start : start + len(data)] = data
        return 0


def make(blocks=512):
    """A Device with an empty file system."""
    device = Device(blocks)
    vfs.VfsLfs2.mkfs(device, readsize=32, progsize=32, lookahead=32)
    return device


def mount(device, path="/board"):
    vfs.mount(vfs.VfsLfs2(device, readsize=32, progsize=32, lookahead=32, mtime=False), path)
    return path


def write(path, size):
    """A file of so many bytes, as the pack and the settings are beside the Outbox."""
    with open(path, "wb") as file:
        for _ in range(size // 500):
            file.write(b"p" * 500)


def power_off(path="/board"):
    """What was open is lost."""
    vfs.umount(path)
