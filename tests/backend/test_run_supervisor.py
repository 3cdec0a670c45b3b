"""The supervisor with services of a few lines, and the small parts around it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from backend import private
from backend.errors import PortBusy, ServiceFailed, SettingsError
from backend.run import broker, leash, lock, micropython, ports
from backend.run.child import LOG_LIMIT, BoundedLog, inherited_environment
from backend.run.credentials import Credentials
from tests.ports import free_port
from tests.servers import wait_for

ROOT = Path(__file__).parents[2]

SUPERVISED = """
    import sys
    from pathlib import Path
    from backend.run.child import Service
    from backend.run.console import Console
    from backend.run.supervisor import Supervisor

    def service(name, code):
        folder = Path(sys.argv[1])
        return Service(name, name, [sys.executable, "-c", code], {}, folder, folder / "log",
                       lambda child: child.has_said("ready"), stop_within=float(sys.argv[2]))

    with Supervisor(Console()).guarding() as supervisor:
"""
OBEDIENT = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('ready'); signal.pause()"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(1000)"
DYING = "import time; print('ready'); time.sleep(0.3); print('the disk is full'); raise SystemExit(9)"


@pytest.fixture
def supervised(tmp_path):
    processes = []

    def start(*services, patience=1.0):
        starts = [f"supervisor.start([service({name!r}, {code!r})])" for name, code in services]
        body = [*starts, "supervisor.wait_ready()", "print('up', flush=True)", "supervisor.watch()"]
        script = textwrap.dedent(SUPERVISED) + "".join(f"    {line}\n" for line in body)
        output = (tmp_path / "output").open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(patience)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        output.close()
        processes.append(process)
        return process, lambda: (tmp_path / "output").read_text()

    yield start
    for process in processes:
        process.kill()
        process.wait()


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_in_reverse_order_and_kills_who_does_not_obey(supervised, number):
    process, output = supervised(("first", OBEDIENT), ("second", STUBBORN))
    wait_for(lambda: "up" in output(), "start")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    process.send_signal(number)
    process.send_signal(signal.SIGTERM)  # make and timeout hand a signal on: two at once are one
    assert process.wait(20) == 0
    assert "second did not stop in time and was killed" in output()
    assert "first did not" not in output()
    assert alive(children) == []


def test_asking_again_kills_the_rest_at_once(supervised):
    process, output = supervised(("obedient", OBEDIENT), ("stubborn", STUBBORN.replace("1000", "1001")), patience=30)
    wait_for(lambda: "up" in output(), "start")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "Stopping" in output(), "stop")
    time.sleep(1.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0
    assert "stubborn did not stop in time" in output()


def test_kill_9_of_the_supervisor_leaves_no_child(supervised):
    process, output = supervised(("first", OBEDIENT), ("second", STUBBORN))
    wait_for(lambda: "up" in output(), "start")
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    wait_for(lambda: not alive(children), "end of the children", 5)


def test_a_child_that_dies_is_named_and_started_again(supervised):
    process, output = supervised(("well", OBEDIENT), ("ill", DYING))
    wait_for(lambda: output().count("ill ended by itself (exit 9)") >= 2, "second death")
    assert "the disk is full" in output()
    assert "well ended" not in output()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_without_a_kernel_that_does_it_the_leash_ends_the_command_when_its_pipe_closes():
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from backend.run import leash; "
    code += "sys.exit(leash.tie_by_pipe([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(99)']))"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as leashed:
        assert leashed.stdout.readline()
        children = psutil.Process(leashed.pid).children()
        leashed.stdin.close()
        leashed.wait(10)
    assert alive(children) == []
    assert leash.GRACE < 15


def test_a_busy_port_is_named_with_its_owner_and_the_option():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))  # noqa: S104 - the wider address must count as taken too
        listener.listen()
        number = listener.getsockname()[1]
        with pytest.raises(PortBusy) as caught:
            ports.check([ports.Port(number, "the web page", "--web-port")])
    assert f"(pid {os.getpid()})" in caught.value.message
    assert psutil.Process().name() in caught.value.message
    assert "--web-port " in caught.value.advice
    ports.check([ports.Port(number, "the web page", "--web-port")])


def test_ports_that_overlap_or_do_not_exist_are_refused():
    first = free_port()
    with pytest.raises(PortBusy, match="both claim"):
        ports.check([ports.Port(first, "a", "--a", width=10), ports.Port(first + 9, "b", "--b")])
    with pytest.raises(PortBusy, match="beyond"):
        ports.check([ports.Port(65530, "a", "--a", width=10)])


def test_a_state_folder_has_one_run(tmp_path):
    with lock.hold(tmp_path / "run.lock"):
        with pytest.raises(ServiceFailed, match=f"pid {os.getpid()}") as caught, lock.hold(tmp_path / "run.lock"):
            pass
        assert "--state-dir" in caught.value.advice
    with lock.hold(tmp_path / "run.lock"):
        pass


def test_credentials_are_made_once_private_and_random(tmp_path):
    path = tmp_path / "credentials.json"
    made = Credentials.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Credentials.load(path) == made
    assert made != Credentials.new()
    assert str(made.backend) not in repr(made)
    path.write_text("{}")
    with pytest.raises(SettingsError, match="no complete set"):
        Credentials.load(path)


def test_a_private_file_never_keeps_a_wider_mode(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    private.write(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_a_log_stays_bounded(tmp_path):
    path = tmp_path / "log" / "a.log"
    with BoundedLog(path) as log:
        for _ in range(10):
            log.write(b"x" * (LOG_LIMIT // 4))
    assert path.stat().st_size <= LOG_LIMIT
    assert {one.name for one in path.parent.iterdir()} == {"a.log", "a.log.1"}


def test_children_inherit_nothing_that_would_lead_them_astray():
    inherited = inherited_environment(
        {"PATH": "/bin", "AWS_SESSION_TOKEN": "x", "THERMOGRAPH_BROKER": "mqtt://elsewhere", "no_proxy": "example.org"}
    )
    assert inherited["PATH"] == "/bin"
    assert inherited["no_proxy"] == "example.org,127.0.0.1,localhost"
    assert not [name for name in inherited if name.startswith(("AWS_", "THERMOGRAPH_"))]


def test_only_the_backend_may_touch_more_than_one_device():
    rights = broker.permissions("fridge-1")
    assert all(subject.startswith("thermograph.v1.fridge-1") for subject in rights["publish"] + rights["subscribe"])


def test_micropython_is_taken_from_the_variable_then_path_and_only_if_it_is_new_enough(tmp_path):
    program = tmp_path / "micropython"
    program.write_text("#!/bin/sh\necho micropython 1 24\n")
    program.chmod(0o755)
    nowhere = tmp_path / "nowhere"
    assert micropython.find({"THERMOGRAPH_MICROPYTHON": "a 'b c'", "PATH": ""}, nowhere) == ["a", "b c"]
    assert micropython.find({"PATH": str(tmp_path)}, nowhere) == [str(program)]
    program.write_text("#!/bin/sh\necho micropython 1 19\n")
    assert micropython.find({"PATH": str(tmp_path)}, nowhere) is None
