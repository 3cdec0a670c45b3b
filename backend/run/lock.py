"""One run a state folder: two brokers on one store would destroy it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ServiceFailed

# Windows locks bytes and forbids reading them: the locked byte lies far behind the process id.
LOCKED_BYTE = 1 << 20


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file, which names this process. The system frees it however the process ends.

    Raises ServiceFailed when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(descriptor):
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise ServiceFailed(
                f"Thermograph already runs on {path.parent} (pid {holder}).",
                "Use that one, stop it, or give this one a folder and ports of its own: "
                "--state-dir, --web-port, --broker-port, --s3-port.",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    with suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
