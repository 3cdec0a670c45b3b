"""A process that has imported the backend already, and forks one of its commands whenever it is asked to.

Starting Python and importing everything takes over a second; forking takes milliseconds. What is forked is the whole
command, from reading its settings on, in a process of its own: kill -9 of it is a true one.

SIGUSR1 arms a failpoint in a command that works already: no start is spent on a process that is to die at once.
"""

import contextlib
import functools
import gc
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from queue import Empty, SimpleQueue

import botocore.session

from backend import failpoints

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds for what takes one: the machine may be busy


class Zygote:
    """The parent's side. Several threads may use it."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        """folder: where what the commands print is kept. environ: names a bucket that is there, with credentials."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._answers: SimpleQueue[int] = SimpleQueue()
        self._running: dict[int, SimpleQueue[int]] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.zygote"],
            cwd=ROOT, env=os.environ | environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,  # Ctrl-C is for its parent, which ends it
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def start(self, words: list[str], environ: dict[str, str], name: str) -> "Command":
        """Fork `python -m WORDS...` with these variables; words[0] is backend or tools. name: of its log."""
        log = self._folder / name
        with self._lock:
            print(json.dumps([words, environ, str(log)]), file=self._process.stdin, flush=True)
            pid = self._answers.get(timeout=PATIENCE)
            return Command(pid, self._running[pid], log)

    def close(self) -> None:
        """End it and all that it has forked."""
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        self._process.stdout.close()

    def _listen(self) -> None:
        for line in self._process.stdout:
            pid, code = json.loads(line)
            if code is None:
                self._running[pid] = SimpleQueue()
                self._answers.put(pid)
            else:
                self._running.pop(pid).put(code)


class Command:
    """One forked command."""

    def __init__(self, pid: int, ended: SimpleQueue[int], log: Path) -> None:
        self.pid = pid
        self._ended = ended
        self._code: int | None = None
        self.log = log

    def poll(self, seconds: float = 0.0) -> int | None:
        """Its exit code, below 0 for a signal; None while it runs, after waiting so long."""
        if self._code is None:
            with contextlib.suppress(Empty):
                self._code = self._ended.get(timeout=seconds) if seconds else self._ended.get_nowait()
        return self._code

    def signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def arm(self, failpoint: str) -> None:
        """It dies at this pass of the point from now on, POINT:N."""
        _order_for(self.log).write_text(failpoint)
        self.signal(signal.SIGUSR1)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.poll(PATIENCE) is not None, f"process {self.pid} outlives SIGKILL"


def share_descriptions() -> None:
    """botocore reads its description of S3 from 2 MB of JSON for each session: from now on once a process."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def main() -> None:
    """Read orders from stdin, say on stdout what was started and how it ended, until stdin ends."""
    _import_everything()
    # What is forked opens it again, as soon as it can be armed.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    gc.collect()
    gc.freeze()
    alarm, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: set[int] = set()
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(alarm, selectors.EVENT_READ)
        rest = b""
        while True:
            for key, _ in waiting.select():
                read = os.read(key.fd, 65536)
                if key.fd == alarm:
                    _reap(children)
                elif not read:
                    return _end(children)
                else:
                    *orders, rest = (rest + read).split(b"\n")
                    for order in orders:
                        children.add(_fork(*json.loads(order)))


def _fork(words: list[str], environ: dict[str, str], log: str) -> int:
    pid = os.fork()
    if not pid:
        _become(words, environ, log)
    _say(pid, None)
    return pid


def _reap(children: set[int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children.remove(pid)
            _say(pid, os.waitstatus_to_exitcode(status))


def _say(pid: int, code: int | None) -> None:
    sys.stdout.write(json.dumps([pid, code]) + "\n")
    sys.stdout.flush()


def _end(children: set[int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _import_everything() -> None:
    """All that the commands import when they run, so that no child has to."""
    import psycopg
    import sqlalchemy.orm

    import backend.archive
    import backend.catalog
    import backend.chain
    import backend.compaction
    import backend.database
    import backend.ingest
    import backend.restore
    import backend.verify
    import tools.commands
    import tools.restore
    import tools.verify  # noqa: F401
    from backend.objects import ObjectStore
    from backend.settings import Settings

    share_descriptions()
    # A first request, and a first look at the tables' mappings, read and make much that later ones only use.
    list(ObjectStore(Settings.read(os.environ)).list())
    sqlalchemy.orm.configure_mappers()
    # Reading all migrations takes longer than all else at a command's start.
    backend.database.ScriptDirectory = functools.cache(backend.database.ScriptDirectory)
    backend.database.ScriptDirectory(str(backend.database.MIGRATIONS)).get_current_head()
    psycopg.pq.version()
    # Only waiting is cut short: old rows leave SQL at each look of the archiver, not every ten minutes.
    backend.archive.DROP_EVERY = 0.0


def _become(words: list[str], environ: dict[str, str], log: str) -> None:
    """In the child: run the command and end with its exit code."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(environ)
        with Path(log).open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        order = _order_for(Path(log))
        signal.signal(signal.SIGUSR1, lambda *_: failpoints.arm(order.read_text()))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        code = _run(words)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _order_for(log: Path) -> Path:
    return log.with_name(f"{log.name}.failpoint")


def _run(words: list[str]) -> int:
    import backend.__main__
    import tools.commands

    group = {"backend": backend.__main__.main, "tools": tools.commands.tools}[words[0]]
    try:
        group.main(words[1:], prog_name=words[0])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
