"""What MicroPython has and CPython has not, so that the same files run on both."""

import binascii
import os
import signal
import socket
import struct
import sys
import time


class Time:
    """MicroPython's time, as far as Clock needs it."""

    time_ns = staticmethod(time.time_ns)
    gmtime = staticmethod(time.gmtime)

    @staticmethod
    def ticks_ms():
        return time.monotonic_ns() // 1000000

    @staticmethod
    def ticks_diff(a, b):
        return a - b


def install():
    """Let umqtt 1.3.4 import its modules."""
    for name, module in (("usocket", socket), ("ustruct", struct), ("ubinascii", binascii)):
        sys.modules.setdefault(name, module)


def sync(file):
    os.fsync(file.fileno())


def open_flash(path, mode):
    return open(path, mode, buffering=0)


def free_memory():
    """(free, largest free block) in bytes: the machine's, for CPython's heap has no end of its own."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return free, free


def restart():
    """Begin again as the same process, with the same command."""
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606  no shell is wanted


class Ender:
    """Ends on SIGTERM as on Ctrl-C."""

    def __init__(self):
        def end(number, frame):
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, end)

    def check(self):
        """CPython runs its signal handlers by itself."""
