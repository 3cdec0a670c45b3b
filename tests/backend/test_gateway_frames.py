"""What lines of legacy sensors say, and what they are as wire v1."""

import json

import pytest

from backend.errors import MessageRejected, SettingsError
from backend.gateway import frames, wire
from backend.gateway.identity import device_name
from backend.gateway.wire import Kept
from backend.reading import parse as parse_wire

GOOD = [
    ("temperature,21.4", (None, "temperature", "Cel", 21.4, None, None)),
    ("temperature, 21.4 , C\r", (None, "temperature", "Cel", 21.4, None, None)),
    ("temperature 21.4", (None, "temperature", "Cel", 21.4, None, None)),
    ("temp 68 F", (None, "temp", "Cel", 20.0, None, None)),
    ("p 1013.25 hPa", (None, "p", "Pa", 101325.0, None, None)),
    ("humidity 40 %", (None, "humidity", "%RH", 40.0, None, None)),
    ("battery 3700 mV #x-1", (None, "battery", "V", 3.7, None, "x-1")),
    ("fridge-2/temperature,-4", ("fridge-2", "temperature", "Cel", -4.0, None, None)),
    ("doors,2", (None, "doors", "/", 2.0, None, None)),
    ("temperature,nan", (None, "temperature", "Cel", None, "no-number", None)),
    ("temperature,-127.00", (None, "temperature", "Cel", None, "disconnected", None)),
    ('{"name": "t", "value": 1e2, "unit": "Cel", "device": "a", "id": 7}', ("a", "t", "Cel", 100.0, None, "7")),
    ('{"name": "t", "value": null, "other": [1]}', (None, "t", "/", None, "no-number", None)),
]
BAD = {
    "temperature 21,4": "is no name",
    "temperature,21,4": "unit",
    "temperature": "name,value",
    "temperature,21.4,C,now": "name,value",
    "temperature,1_000": "no number",
    "temperature,٣": "no number",
    "temperature,0x15": "no number",
    "temperature,1e999": "too large",
    "temperature,-300": "absolute zero",
    "ip-10-0-0-7/temperature,1": "is no device",
    "../x,1": "is no device",
    "temperature,21.4 #": "id",
    '{"name": "t"}': "no reading",
    '{"name": "t", "value": 1, "t": 5}': "Unix time",
    '{"a":' * 300: "no reading",
}


@pytest.mark.parametrize(("line", "expected"), GOOD)
def test_a_line_is_a_reading(line, expected):
    frame = frames.parse(line.encode())
    assert tuple(frame)[:3] + tuple(frame)[4:6] == expected[:3] + expected[4:]
    assert frame.value == (expected[3] if expected[3] is None else pytest.approx(expected[3]))


@pytest.mark.parametrize("line", sorted(BAD))
def test_a_line_that_is_none_says_why(line):
    with pytest.raises(MessageRejected) as caught:
        frames.parse(line.encode())
    assert BAD[line] in caught.value.message


@pytest.mark.parametrize("line", [b"\xff\xfe,1", b"", b"\0,\0"])
def test_bytes_that_are_no_text(line):
    with pytest.raises(MessageRejected):
        frames.parse(line)


def test_no_line_makes_a_pattern_of_ones_own_go_back():
    """By Python's own patterns this line would take longer than anybody lives."""
    pattern = frames.compile_pattern(r"(?P<name>(?:[a-z]+)+)(?:x*)*=(?P<value>(?:(?:1+)+)+)")
    assert frames.parse(b"temperature=11", pattern).value == 11
    for hostile in (b"a" * 1000 + b"!", b"temperature=" + b"1" * 1000 + b"!"):
        with pytest.raises(MessageRejected):
            frames.parse(hostile, pattern)


def test_a_pattern_of_ones_own_comes_first_and_the_others_stay():
    pattern = frames.compile_pattern(r"@(?P<device>\w+);(?P<name>\w+)=(?P<value>[^;]+);(?P<unit>\w*)")
    assert frames.parse(b"@hall;temp=70;F", pattern)[:3] == ("hall", "temp", "Cel")
    assert frames.parse(b"temp 7", pattern).value == 7
    for wrong in ("(", "(?P<name>x)", "(?P<name>x)(?P<value>y)(?P<colour>z)"):
        with pytest.raises(SettingsError, match="GATEWAY_PATTERN"):
            frames.compile_pattern(wrong)


def test_names_of_devices_cannot_meet():
    assert device_name("gw", "fridge-2", "10.0.0.7") == "gw-fridge-2"
    assert device_name("gw", None, "10.0.0.7") == device_name("gw", None, "::ffff:10.0.0.7") == "gw-ip-10-0-0-7"
    assert device_name("gw", None, "fe80::1%eth0") == "gw-ip-fe80--1"


def test_messages_are_wire_v1_and_under_a_kilobyte():
    kept = [Kept(n, 1_763_812_345_000 + n * 7919, "rtc" if n > 150 else "ntp", f"sensor-{n % 9}", "Cel", n / 7, None)
            for n in range(5, 200)]  # fmt: skip
    kept.append(Kept(200, 1_763_812_000_000, "rtc", "t", "Pa", None, "no-number"))
    found = []
    for payload, last in wire.messages("9f3a1c02", kept):
        assert len(payload) < 1024
        telemetry = parse_wire("thermograph/v1/gw-a/telemetry", payload, 0)
        assert telemetry.last == last
        found += telemetry.readings
    assert [(r.seq, r.t, r.tq, *r.channel, r.value, r.fault) for r in found] == [tuple(one) for one in kept]


def test_gaps_states_and_acks_are_wire_v1():
    gap = parse_wire("thermograph/v1/gw-a/telemetry", wire.gap("9f3a1c02", 3, 9, "gateway-full"), 0)
    assert (gap.first, gap.last, gap.cause) == (3, 9, "gateway-full")
    state = parse_wire("thermograph/v1/gw-a/state", wire.state("9f3a1c02", 12, 3, 100), 0)
    assert state.sampled == 12
    assert json.loads(state.health)["outbox"] == {"depth": 3, "capacity": 100}
    assert wire.ack(b'{"stream": "9f3a1c02", "seq": 5}') == ("9f3a1c02", 5)
    for none in (b"", b"[]", b'{"stream": "9f3a1c02", "seq": -1}', b"[" * 9000, b'{"seq": 1}'):
        assert wire.ack(none) is None
