"""A device as a process, a real mosquitto, and a small backend that keeps the promise's books; on both interpreters."""

import json
import re

import pytest

from device_bench import Backend, Proxy, stop, wait_until

LINE = re.compile(r"\d\d:\d\d:\d\dZ sample (\S+) (\S+) (\S+) seq (\d+)$")


@pytest.fixture
def backend(mosquitto):
    made = []

    def make(**options):
        made.append(Backend(mosquitto.port, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def agrees(device, backend):
    """Every reading the console names, up to what is stored, is stored with that value; the rest is on flash."""
    for seq, value in device.samples().items():
        if seq <= backend.stored and seq not in backend.gaps:
            shown = float(value) if not value.startswith("fault") else value
            assert backend.rows[seq] == shown, seq


def test_from_sample_to_free_and_a_clean_end(device, mosquitto, backend):
    books = backend()
    one = device(mosquitto.port)
    wait_until(lambda: books.stored >= 40 and any(isinstance(value, str) for value in books.rows.values()))
    wait_until(lambda: one.lines("freed"))
    assert all(LINE.match(line) for line in one.lines("sample"))
    state = json.loads(wait_until(lambda: books.heard.get("state")))
    assert state["stream"] == books.stream and state["outbox"]["capacity"] > 0 and state["free"] > 0
    assert books.heard["status"] == "online"
    assert stop(one) == 0
    wait_until(lambda: books.heard["status"] == "offline")
    agrees(one, books)
    assert "secret" not in one.log.read_text() and "Traceback" not in one.log.read_text()
    spans = [books.times[seq + 1] - books.times[seq] for seq in range(2, books.stored)]
    assert abs(sum(spans) / len(spans) - 50) < 3, "the schedule drifts"


def test_kill_9_loses_nothing_and_uses_no_seq_twice(device, mosquitto, backend):
    books = backend(acking=False)
    one = device(mosquitto.port, interval=0.01)
    for turn in range(1, 4):
        wait_until(lambda turn=turn: len(one.samples()) >= 60 * turn)
        one.process.kill()
        one.process.wait()
        one.start()
        wait_until(lambda turn=turn: len(one.lines("boot")) == turn + 1)
    books.acking = True
    newest = max(one.samples())
    wait_until(lambda: books.stored >= newest)
    agrees(one, books)
    assert not books.gaps
    assert len({line.split()[4] for line in one.lines("boot")}) == 1, "one stream over all boots"
    assert len(one.lines("sample")) == len(one.samples()), "a seq was used twice"
    assert [int(line.split()[2]) for line in one.lines("boot")] == [1, 2, 3, 4]


def test_without_acks_nothing_is_freed_and_it_is_sent_again(device, mosquitto, backend):
    books = backend(acking=False)
    one = device(mosquitto.port)
    wait_until(lambda: len(one.lines("no")) >= 2)
    assert not one.lines("freed")
    before = books.messages
    wait_until(lambda: books.messages > before)
    books.acking = True
    newest = max(one.samples())
    wait_until(lambda: books.stored >= newest)
    wait_until(lambda: one.lines("freed"))
    agrees(one, books)


def test_a_broker_that_is_killed_and_forgets_loses_nothing(device, mosquitto, backend):
    books = backend(acking=False)
    one = device(mosquitto.port)
    wait_until(lambda: len(books.rows) >= 10)
    mosquitto.kill()
    wait_until(lambda: one.lines("link"))
    newest = max(one.samples())
    wait_until(lambda: max(one.samples()) > newest + 20)  # it goes on sampling alone
    books.rows.clear()
    books.stored = 0
    mosquitto.start()
    books.acking = True
    newest = max(one.samples())
    wait_until(lambda: books.stored >= newest, 20)
    agrees(one, books)


def test_acks_that_are_none_or_foreign_or_of_the_future_free_nothing(device, mosquitto, backend):
    books = backend(acking=False)
    one = device(mosquitto.port)
    wait_until(lambda: len(books.rows) >= 5)
    books.ack(3, stream="00000000")
    books.ack(1000000)
    for payload in ("stored!", '{"seq":3}', '{"stream":7,"seq":3}', "[" * 2000, b"\xff\x00", ""):
        books.say(payload)
    wait_until(lambda: len(one.lines("ignored:")) == 8)
    assert not one.lines("freed") and one.process.poll() is None
    books.ack(3)
    wait_until(lambda: one.lines("freed"))
    assert " freed to 3," in one.lines("freed")[0]


def test_a_backend_that_forgets_gets_it_again_or_a_gap(device, mosquitto, backend):
    """The ring of 3 sectors holds few; what it holds no more is named backend-lost, and the books add up."""
    books = backend()
    one = device(mosquitto.port, interval=0.004, outbox_size=3 * 4096)
    wait_until(lambda: books.stored >= 900, 30)
    books.forget(20)
    wait_until(lambda: books.stored >= 900, 20)
    assert set(books.gaps.values()) == {"backend-lost"} and min(books.gaps) == 21
    assert set(range(21, 901)) <= set(books.gaps) | set(books.rows)
    agrees(one, books)


def test_a_full_flash_drops_the_oldest_and_says_so(device, mosquitto, backend):
    one = device(mosquitto.port, interval=0.004, outbox_size=3 * 4096)
    wait_until(lambda: max(one.samples() or [0]) >= 900, 30)
    books = backend()
    newest = max(one.samples())
    wait_until(lambda: books.stored >= newest, 20)
    assert set(books.gaps.values()) == {"flash-full"} and min(books.gaps) == 1
    agrees(one, books)


def test_without_a_clock_uptime_and_boot_are_sent(device, mosquitto, backend):
    books = backend()
    one = device(mosquitto.port, clock="none")
    wait_until(lambda: books.stored >= 5)
    message = json.loads(books.heard["telemetry"])
    assert message["tq"] == "none" and message["boot"] == 1
    assert 0 <= message["t"] <= message["now"] <= 20000
    assert one.lines("sample")[0].startswith("+0.")


def test_the_schedule_holds_while_the_broker_hangs(device, mosquitto, backend):
    """Half-open: a proxy stops forwarding and closes nothing. Sampling goes on; the Link gives up and comes back."""
    books = backend()
    with Proxy(mosquitto.port) as proxy:
        one = device(proxy.port, interval=0.2, broker={"timeout": 2})
        wait_until(lambda: books.stored >= 3)
        proxy.frozen.set()
        wait_until(lambda: one.lines("link"), 15)
        proxy.frozen.clear()
        newest = max(one.samples())
        wait_until(lambda: books.stored >= newest, 20)
        times = [books.times[seq] for seq in sorted(books.times)]
        spans = [b - a for a, b in zip(times, times[1:])]
        assert max(spans) < 1000 and len(times) >= 10
        agrees(one, books)


@pytest.mark.parametrize(
    "change, word",
    [
        ({"device": "Fridge 1"}, "device"),
        ({"intervall": 3}, "intervall"),
        ({"interval": 0}, "interval"),
        ({"broker": {"port": 0}}, "broker.port"),
        ({"broker": {"password": None}}, "broker.password"),
        ({"sensors": []}, "sensors"),
        ({"sensors": [{"kind": "sundial", "id": "a"}]}, "sundial"),
        ({"outbox_size": 5000}, "outbox_size"),
    ],
)
def test_settings_that_cannot_be_used_are_named(device, change, word):
    one = device(1883, **change)
    assert one.process.wait(10) == 2
    text = one.log.read_text()
    assert word in text and "Traceback" not in text and "secret" not in text


def test_settings_hide_their_secrets():
    from thermograph.settings import checked

    fields = {
        "device": "a",
        "broker": {"user": "fridge", "password": "cold-secret"},
        "sensors": [{"kind": "simulated", "id": "x"}],
    }
    made = checked(fields)
    assert "cold-secret" not in repr(made) + str(made) + repr(made.broker) and made.broker.password == "cold-secret"


def test_samples_lie_on_whole_intervals_and_missed_ones_are_not_faked(umqtt_path):
    """A clock set by hand: the loop comes late, early, and once not for 3.5 intervals."""
    from thermograph.clock import Clock
    from thermograph.link import Link
    from thermograph.node import Node
    from thermograph.outbox import Outbox
    from thermograph.sensors.simulated import Fridge, Simulated
    from thermograph.settings import checked

    from nor import Nor

    class Hand:
        """The time module of a clock that is turned by hand, and the board of a Node that looks at nothing else."""

        ticks = 0

        def ticks_ms(self):
            return self.ticks

        def ticks_diff(self, a, b):
            return a - b

        def gmtime(self, seconds):
            return (2000, 1, 1)

        def time_ns(self):
            return (1763812345000 - 946684800000 + self.ticks) * 1000000

        def watch(self):
            pass

        feed = watch

        def say(self, text):
            pass

    hand = Hand()
    clock = Clock(hand, "ntp")
    settings = checked({"device": "a", "interval": 1, "sensors": [{"kind": "simulated", "id": "x"}]})
    sensor = Simulated(Fridge(clock), "x")
    outbox = Outbox(Nor(3), lambda size: b"\x01\x02\x03\x04", sensor.channels)
    node = Node(
        settings,
        hand,
        clock,
        outbox,
        [sensor],
        lambda on_wait, on_message: Link(None, clock, settings.broker, "a", on_wait, on_message),
        None,
        None,
    )
    spare = []
    for hand.ticks in (0, 7, 999, 1003, 1999, 2001, 5500, 5999, 6000):
        spare.append(node.tick())
    sampled = [kept.reading.t - 1763812345000 for kept in outbox.peek(1, 99)]
    assert sampled == [0, 1003, 2001, 5500, 6000], "the epoch of 2000 is converted, too"
    assert spare == [1000, 993, 1, 997, 1, 999, 500, 1, 1000]


def test_settings_and_commands_from_afar(device, mosquitto, backend):
    """Applied while it runs; over a restart, which keeps the process; refused; and a command that is retained."""
    books = backend()
    one = device(mosquitto.port, state_every=1)
    wait_until(lambda: books.stored >= 3)
    books.tell("settings", json.dumps({"revision": 3, "send": {"every": 2}}))
    wait_until(lambda: json.loads(books.heard["state"])["settings"] == 3)
    assert len(one.lines("boot")) == 1
    books.tell("settings", json.dumps({"revision": 4, "broker": {"keepalive": 20}}))
    wait_until(lambda: len(one.lines("boot")) == 2)
    wait_until(lambda: json.loads(books.heard["state"])["settings"] == 4)
    books.tell("settings", json.dumps({"revision": 5, "broker": {"port": "cold-secret"}}))
    state = json.loads(wait_until(lambda: "refused" in books.heard["state"] and books.heard["state"]))
    assert state["settings"] == 4 and state["refused"] == 5 and "broker.port must be" in state["settings_error"]
    books.tell("command", json.dumps({"id": "x", "command": "restart"}))
    wait_until(lambda: len(one.lines("boot")) == 3)
    wait_until(lambda: one.lines("ignored:"))
    books.tell("command", json.dumps({"id": "y", "command": "identify"}))
    wait_until(lambda: json.loads(books.heard["state"]).get("command") == "y")
    assert len(one.lines("boot")) == 3 and one.process.poll() is None
    text = one.log.read_text()
    assert "identify: here is fridge-1" in text and "Traceback" not in text and "secret" not in text
    newest = max(one.samples())
    wait_until(lambda: books.stored >= newest)
    agrees(one, books)
    assert stop(one) == 0


def test_safe_mode_talks_and_does_not_sample(device, mosquitto, backend):
    """Five crashes are in the log; a restart by command ends it."""
    books = backend()
    one = device(mosquitto.port, state_every=1)
    wait_until(lambda: books.stored >= 3)
    assert stop(one) == 0
    entry = {"t": 1763812345000, "tq": "ntp", "text": "ValueError: 7 (node.py:9)"}
    (one.folder / "crashes.json").write_text(json.dumps({"in_a_row": 5, "entries": [entry]}))
    samples = len(one.samples())
    one.start()
    state = json.loads(wait_until(lambda: "safe" in books.heard["state"] and books.heard["state"]))
    assert state["crash"] == entry["text"] and state["crash_t"] == entry["t"] and state["crashes"] == 5
    assert state["stream"] == books.stream and books.heard["status"] == "online"
    assert len(one.samples()) == samples
    books.tell("command", json.dumps({"id": "x", "command": "restart"}))
    wait_until(lambda: len(one.samples()) > samples + 3)
    wait_until(lambda: "safe" not in books.heard["state"])
    assert stop(one) == 0
