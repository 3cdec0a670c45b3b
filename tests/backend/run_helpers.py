"""What the tests of `python -m backend run` share."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from backend.run import object_store
from tests.servers import wait_for

ROOT = Path(__file__).parents[2]


def free_block(width=1):
    """The first of that many free ports in a row, below those that the system gives to outgoing connections."""
    while True:
        first = random.randrange(11_000, 30_000)
        if all(_is_free(first + offset) for offset in range(width)):
            return first


def three_places():
    """Ports for web page, broker and S3 server, which needs a row of its own; none of them twice."""
    first = free_block(2 + len(object_store.PORT_FLAGS))
    return first, first + 1, first + 2


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Run:
    """`python -m backend run` as its own process; its output as it comes."""

    def __init__(self, state_dir, web_port, broker_port, s3_port, *options):
        self.lines = []
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "backend", "run", "--state-dir", str(state_dir)),
                *("--web-port", str(web_port), "--broker-port", str(broker_port), "--s3-port", str(s3_port)),
                *options,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.children = []

    @property
    def pid(self):
        return self._process.pid

    @property
    def output(self):
        return "\n".join(self.lines)

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, text, seconds=60):
        wait_for(lambda: text in self.output or self._process.poll() is not None, f"line with {text!r}", seconds)
        assert text in self.output, self.output

    def find_children(self):
        self.children = psutil.Process(self.pid).children(recursive=True)
        return self.children

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=60):
        """Its exit code."""
        code = self._process.wait(seconds)
        self._reader.join(10)
        return code

    def left_over(self):
        return [child for child in self.children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(10)
        self._process.stdout.close()
