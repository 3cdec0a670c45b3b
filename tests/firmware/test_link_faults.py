"""Whatever the network does, samples stay on their schedule, and a device is back soon after: real devices, a real
mosquitto each, and one fault each, side by side."""

import contextlib
import json
import subprocess
import time

from device_bench import Backend, Mosquitto, stop, wait_until
from heap_bench import Clock
from link_bench import Gate, Udp, dns_answer
from tls_bench import Authority, TlsMosquitto

FAULT = 15  # s, of which each device spends several attempts
RECOVERY = 30  # s, with waits between attempts as they are after FAULT; after a long fault they are 90 s at most
INTERVAL = 250  # ms
UPTIMES = 1 << 40  # ms; Unix time is more
PATIENT = {"timeout": 2, "keepalive": 4}


class Board:
    """A Device in a board's heap: an ESP32 of fakes with a BME280 and a time server."""

    def __init__(self, folder, words, time_server, port, broker, **changes):
        folder.mkdir()
        self._log = folder.with_suffix(".log")
        fields = {
            "device": "fridge-1",
            "broker": {"host": "127.0.0.1", "port": port, "user": "fridge", "password": "cold-secret", **broker},
            "networks": [{"ssid": "Home", "password": "goat cheese"}],
            "ntp": [time_server],
            "patience": 1,
            "sensors": [{"kind": "bme280", "id": "bme280-76"}],
            **changes,
        }
        (folder / "settings.json").write_text(json.dumps(fields))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(**words(folder, {"quick": True}), stdout=log, stderr=log)

    def lines(self, word):
        return [line for line in self._log.read_text().splitlines() if line.split()[1:2] == [word]]

    def samples(self):
        return {int(line.split()[6]): line.split()[3] for line in self.lines("sample") if len(line.split()) == 7}

    def end(self):
        """It does not end by itself: so it ran until now."""
        assert self.process.poll() is None, self._log.read_text()[-2000:]
        self.process.kill()
        self.process.wait()


class Case:
    """A device, its broker, and the fault: begin() and end() it. Some faults are there before the device is."""

    def __init__(self, name, made, folder, stack):
        self.name, self.step, self.late = name, "mqtt", False
        folder = folder / name
        folder.mkdir()
        getattr(self, "_" + name)(folder, stack)
        stack.callback(self.broker.kill)
        self.books = Backend(getattr(self.broker, "plain_port", self.broker.port))
        stack.callback(self.books.stop)
        if not self.late:
            self.begin()
        self.device = made(self.port, interval=INTERVAL / 1000, broker=self.settings, **self.more)

    more = {}  # noqa: RUF012
    settings = PATIENT

    def _gate(self, stack, port, some=0):
        self.gate = stack.enter_context(Gate(port, some))
        self.port = self.gate.port

    def _broker_hangs(self, folder, stack):
        """It accepts, and is silent."""
        self.broker = Mosquitto(folder)
        self._gate(stack, self.broker.port)

    def _half_open(self, folder, stack):
        """From one moment on nothing comes back, and nothing breaks."""
        self._broker_hangs(folder, stack)
        self.late = True

    def _tls_stalls(self, folder, stack):
        authority = Authority()
        self.broker = TlsMosquitto(folder, authority.issue(folder / "broker.pem"))
        self._gate(stack, self.broker.port, some=300)
        self.settings = dict(PATIENT, tls={"ca": authority.pem, "host": "localhost"})
        self.step = "tls"

    def _dns_never_answers(self, folder, stack):
        self.broker = Mosquitto(folder)
        self.port = self.broker.port
        self.names = stack.enter_context(Udp())
        self.settings = dict(PATIENT, host="broker.cold.example")
        self.more = {"dns": [self.names.name]}
        self.step = "dns"

    def begin(self):
        if self.step != "dns":
            self.gate.shut = True

    def end(self):
        if self.step == "dns":
            self.names.answer = lambda data: [dns_answer(data, ["127.0.0.1"])]
        else:
            self.gate.shut = False
        self.sampled = len(self.device.samples())
        self.ended = time.monotonic()

    def back_after(self):
        """s until all that was sampled in the fault is stored."""
        wait_until(lambda: self.books.stored >= self.sampled, RECOVERY + 60)
        return time.monotonic() - self.ended

    def worst_wait(self):
        """ms between two samples, the longest."""
        times = [t for seq, t in sorted(self.books.times.items()) if t > UPTIMES]  # on a board the clock is set first
        return max(after - before for before, after in zip(times, times[1:]))


def test_samples_keep_their_schedule_in_each_fault_and_recovery_is_soon(device, tmp_path):
    outlive(device, tmp_path, lambda one: stop(one) == 0)


def test_the_same_in_a_board_s_heap(small_board, tmp_path):
    made = []
    (tmp_path / "skipped").write_text("0")
    with Clock(tmp_path) as clock:

        def make(port, **changes):
            made.append(Board(tmp_path / ("board%d" % len(made)), small_board, clock.name, port, **changes))
            return made[-1]

        try:
            outlive(make, tmp_path, lambda one: one.end() is None)
        finally:
            for one in made:
                one.process.kill()


def outlive(device, tmp_path, end):
    """device(port, **settings) makes and starts one; end(device): whether it was sound to the end."""
    with contextlib.ExitStack() as stack:
        names = ("broker_hangs", "half_open", "tls_stalls", "dns_never_answers")
        cases = [Case(name, device, tmp_path, stack) for name in names]
        for case in cases:
            if case.late:
                wait_until(lambda case=case: case.books.stored > 4)
                case.begin()
        time.sleep(FAULT)
        for case in cases:
            lost = case.device.lines("link")
            assert len(lost) >= 2 and " %s: " % case.step in lost[-1], (case.name, lost)
            case.end()
        for case in cases:
            assert case.sampled >= FAULT * 1000 / INTERVAL - 8, (case.name, case.sampled)
            assert case.back_after() < RECOVERY, case.name
        for case in cases:
            assert end(case.device), case.name
            assert sorted(case.books.rows) == list(range(1, len(case.books.rows) + 1)), case.name
            assert case.worst_wait() <= INTERVAL + 1000, (case.name, case.worst_wait())
            print(case.name, case.worst_wait())
