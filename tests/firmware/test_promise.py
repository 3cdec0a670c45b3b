"""checks_promise.py on CPython and on MicroPython."""

import os
import subprocess

import pytest

import checks_promise
from checks import FIRMWARE, HERE, names


@pytest.mark.parametrize("name", names(checks_promise))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_promise(where, name, umqtt_path, request):
    if where == "cpython":
        getattr(checks_promise, name)()
        return
    words = [*request.getfixturevalue("micropython"), "-X", "heapsize=2m", str(HERE / "run_check.py"), FIRMWARE]
    environment = {**os.environ, "MICROPYPATH": str(umqtt_path)}
    done = subprocess.run(
        [*words, "checks_promise", name],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=HERE,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
