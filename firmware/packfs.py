"""The release as one file: whoever imports this imports from thermograph.pack from then on, if that lies here.

    offset 0  "TGP1"    another layout gets another magic
           4  CRC-32 of all from 8 to the first entry
           8  size of the file
          12  number of entries, n
          16  n hashes of 3 bytes: CRC-32 of an entry's path, "/thermograph/node.mpy", without its highest byte
        +3n   n + 1 offsets of 3 bytes: where each entry begins, and where the last ends; a folder has no bytes
              the entries: CRC-32 of what follows, then that

The little end comes first. tools/mpy makes it. Whoever replaces it, by a rename, restarts the board.

Nothing else on flash is imported from then on: to look there for each name that MicroPython has built in, such as
`json`, costs hundreds of reads. The module is itself the file system that is mounted. It stays in memory, with each
name and each text of it, and a class and its one object would take more.
"""

import binascii
import io
import sys

try:
    _file = open("thermograph.pack", "rb")  # noqa: SIM115
except OSError:
    _file = None  # sources


def mount(readonly, mkfs):
    """vfs.mount() calls it."""


def stat(path):
    """The second field, the inode, is the entry's place among the hashes. OSError if there is none."""
    key = binascii.crc32(path.encode()).to_bytes(4, "little")[:3]
    at = _index.find(key)
    while at % 3 and at > 0:  # across two hashes
        at = _index.find(key, at + 1)
    if not 0 <= at < len(_index) // 2 - 1:  # behind the hashes lie the offsets
        raise OSError(2)
    return (0x8000 if "." in path else 0x4000, at, 0, 0, 0, 0, 0, 0, 0, 0)


def open(path, mode):
    """ImportError if it is damaged: the firmware's crash log, and main.py, say so."""
    at = stat(path)[1] + len(_index) // 2
    begin = int.from_bytes(_index[at - 1 : at + 2], "little")
    _file.seek(begin)
    crc = _file.read(4)
    content = _file.read(int.from_bytes(_index[at + 2 : at + 5], "little") - begin - 4)
    if binascii.crc32(content).to_bytes(4, "little") != crc:
        raise ImportError("thermograph.pack is damaged or cut off")
    return io.BytesIO(content)


if _file:
    import vfs

    _head = _file.read(16)
    _index = _file.read(6 * int.from_bytes(_head[12:], "little") + 3)
    _crc = binascii.crc32(_index, binascii.crc32(_head[8:])).to_bytes(4, "little")
    if _head[:8] != b"TGP1" + _crc or _file.seek(0, 2) != int.from_bytes(_head[8:12], "little"):
        raise ImportError("thermograph.pack is damaged or cut off")
    vfs.mount(sys.modules[__name__], "/p")
    sys.path[:] = ["/p"] + [path for path in sys.path if path not in ("", "/lib")]
    del _head, _crc, vfs, sys
