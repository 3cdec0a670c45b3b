"""The unix port's side of what cpython.py does for CPython."""

import array
import gc
import time as Time  # noqa: F401  it has what Clock needs

import ffi
import uctypes

_SIGTERM = 15
_SIG_BLOCK = 0


def install():
    """Nothing is missing here."""


def sync(file):
    """The unix port's flush is fsync (vfs_posix_file.c)."""
    file.flush()


def open_flash(path, mode):
    """Unbuffered: the unix port's files are bare file descriptors."""
    return open(path, mode)


def free_memory():
    """(free, largest free block) in bytes."""
    gc.collect()
    free = block = gc.mem_free()
    while block > 64:
        try:
            bytearray(block)
            break
        except MemoryError:
            block -= block >> 3
    return free, block


def restart():
    """Begin again as the same process, with the same command: Linux knows it."""
    with open("/proc/self/cmdline", "rb") as file:
        words = [word + b"\0" for word in file.read().split(b"\0")[:-1]]
    pointers = array.array("P", [uctypes.addressof(word) for word in words] + [0])
    ffi.open("libc.so.6").func("i", "execvp", "pP")(words[0], uctypes.addressof(pointers))
    raise OSError("cannot start again")


class Ender:
    """Ends on SIGTERM as on Ctrl-C. The port runs no Python in signal handlers: the signal is blocked and asked for."""

    def __init__(self):
        libc = ffi.open("libc.so.6")
        self._signals = bytearray(128)
        self._signals[(_SIGTERM - 1) // 8] = 1 << (_SIGTERM - 1) % 8
        self._no_wait = bytearray(16)
        self._take = libc.func("i", "sigtimedwait", "ppp")
        libc.func("i", "sigprocmask", "ipp")(_SIG_BLOCK, self._signals, None)

    def check(self):
        if self._take(self._signals, None, self._no_wait) == _SIGTERM:
            raise KeyboardInterrupt
