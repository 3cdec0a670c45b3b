"""One running process: its output, its end."""

import collections
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .. import private

LEASH = Path(__file__).with_name("leash.py")
LONGEST_LINE = 64 * 1024
LOG_LIMIT = 4 * 1024 * 1024
LAST_WORDS = 5


@dataclasses.dataclass(frozen=True)
class Service:
    """What to start, and how to tell that it is up.

    environment: added to the supervisor's own. ready: asked again and again. ready_within, stop_within: seconds.
    on_line: given each line it prints.
    """

    name: str
    about: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ready: Callable[["Child"], bool]
    ready_within: float = 30.0
    stop_within: float = 10.0
    on_line: Callable[[str], None] | None = None


class Child:
    """A started service. Made in the supervisor's main thread: Linux ties a child to the thread that started it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.started = time.monotonic()
        self.ready_after: float | None = None
        self.said: collections.deque[str] = collections.deque(maxlen=50)
        self._process = _start(service)
        self._pump = threading.Thread(target=self._read, name=f"{service.name} output", daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def age(self) -> float:
        return time.monotonic() - self.started

    def has_said(self, line: str) -> bool:
        return line in tuple(self.said)

    def last_words(self) -> list[str]:
        """Its last lines; waits a moment for those still in the pipe of one that has just ended."""
        if self.exit_code is not None:
            self._pump.join(1.0)
        return [line for line in tuple(self.said) if line.strip()][-LAST_WORDS:]

    def ask_to_stop(self) -> None:
        if self.exit_code is not None:
            return
        if sys.platform == "linux":
            self._process.terminate()
        elif self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        self._pump.join(1.0)
        return True

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        pipe = self._process.stdout
        if pipe is None:
            return
        with pipe, BoundedLog(self.service.log) as log:
            while raw := pipe.readline(LONGEST_LINE):
                log.write(raw)
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self.said.append(line)
                if self.service.on_line is not None:
                    self.service.on_line(line)


class BoundedLog:
    """A log file that never grows over twice LOG_LIMIT: the older half moves to NAME.1 and replaces the one before."""

    def __init__(self, path: Path) -> None:
        private.make_folder(path.parent)
        self._path = path
        self._file = self._open()

    def __enter__(self) -> "BoundedLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: bytes) -> None:
        try:
            if self._file.tell() + len(line) > LOG_LIMIT:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._file = self._open()
            self._file.write(line)
        except (OSError, ValueError):
            # A full disk must not stop the reading of the pipe: the service would block on its next line.
            return

    def _open(self) -> IO[bytes]:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)


def _start(service: Service) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *service.command]
    return subprocess.Popen(  # noqa: S603 - commands come from this package, never from outside
        command,
        cwd=service.folder,
        env={**inherited_environment(os.environ), **service.environment},
        stdin=subprocess.DEVNULL if sys.platform == "linux" else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C in a terminal goes to the whole group. Only the supervisor may hear it, to stop them in order.
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what would change a service behind our back.

    A session token or an endpoint of the user's own AWS account would send the archive astray; a proxy would be
    asked for 127.0.0.1.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "THERMOGRAPH_"))}
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name), "127.0.0.1,localhost"]))
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
