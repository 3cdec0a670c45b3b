"""The wire as the backend decodes it, against the golden examples that the firmware encodes."""

import json
from pathlib import Path

import pytest

from backend.errors import MessageRejected
from backend.reading import MAX_ROWS, MAX_SEQ, State, Status, Telemetry, ToldGap, parse

WIRE = Path(__file__).parent.parent / "wire" / "v1"
ARRIVAL = 1_763_812_345_000


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(WIRE.glob("telemetry*.json")), ids=lambda path: path.stem)
def test_golden_telemetry_decodes(path):
    example = load(path)
    telemetry = parse(example["topic"], json.dumps(example["message"]).encode(), example.get("received", ARRIVAL))
    assert isinstance(telemetry, Telemetry)
    decoded = [
        {
            "stream": telemetry.stream,
            "seq": reading.seq,
            "sensor": reading.channel[0],
            "unit": reading.channel[1],
            "t": reading.t,
            "tq": reading.tq,
            "value": reading.value,
            "fault": reading.fault,
        }
        for reading in telemetry.readings
    ]
    assert decoded == example["readings"]


def test_golden_gap_state_and_status_decode():
    gap = load(WIRE / "gap.json")
    assert parse(gap["topic"], json.dumps(gap["message"]).encode(), ARRIVAL) == ToldGap("fridge-1", **gap["gap"])
    state = load(WIRE / "state.json")
    parsed = parse(state["topic"], json.dumps(state["message"]).encode(), ARRIVAL)
    assert isinstance(parsed, State)
    assert json.loads(parsed.health) == {name: value for name, value in state["message"].items() if name != "idf"}
    trouble = {"v": 1, "firmware": "0.1.0", "settings": 4, "safe": True, "crash": "OSError: 5", "link": "dns: silent"}
    parsed = parse(state["topic"], json.dumps(trouble | {"secret": "x"}).encode(), ARRIVAL)
    assert (parsed.stream, parsed.sampled, json.loads(parsed.health)) == (None, 0, trouble)
    status = load(WIRE / "status.json")
    for payload in status["payloads"]:
        assert parse(status["topic"], payload.encode(), ARRIVAL) == Status("fridge-1", payload)


@pytest.mark.parametrize("path", sorted((WIRE / "malformed").glob("*.json")), ids=lambda path: path.stem)
def test_malformed_is_rejected(path):
    example = load(path)
    payload = bytes.fromhex(example["payload_hex"]) if "payload_hex" in example else example["payload"].encode()
    with pytest.raises(MessageRejected):
        parse(example["topic"], payload, ARRIVAL)


def message(**changes):
    base = {"v": 1, "stream": "9f3a1c02", "seq": 5, "t": ARRIVAL, "tq": "ntp", "ch": [["a", "Cel"]], "r": [[0, 0, 1.5]]}
    return json.dumps(base | changes).encode()


@pytest.mark.parametrize(
    ("changes", "account"),
    [
        ({"r": [[0, 0, -300], [0, 0, 1]]}, ("9f3a1c02", 5, 6)),
        ({"ch": [["a b", "Cel"]]}, ("9f3a1c02", 5, 5)),
        ({"tq": "sundial"}, ("9f3a1c02", 5, 5)),
        ({"seq": MAX_SEQ, "r": [[0, 0, 1], [0, 0, 1]]}, ("9f3a1c02", MAX_SEQ, MAX_SEQ)),
        ({"stream": "9F3A1C02"}, None),
        ({"r": [[0, 0, 1.5]] * (MAX_ROWS + 1)}, None),
    ],
)
def test_a_rejected_message_names_the_readings_it_held(changes, account):
    with pytest.raises(MessageRejected) as caught:
        parse("thermograph/v1/fridge-1/telemetry", message(**changes), ARRIVAL)
    assert caught.value.account == account


@pytest.mark.parametrize("topic", ["", "thermograph/v1/a/b/telemetry", "thermograph/v1/../telemetry", "x" * 70000])
def test_a_foreign_topic_is_rejected(topic):
    with pytest.raises(MessageRejected):
        parse(topic, message(), ARRIVAL)


@pytest.mark.parametrize(
    "payload", [b"[" * 60000, b'{"a":' * 9000, b"\x00" * 50, b'{"v":1,"stream":"9f3a1c02"' + b" " * 70000]
)
def test_a_hostile_payload_is_rejected(payload):
    for leaf in ("telemetry", "state", "status", "command"):
        with pytest.raises(MessageRejected):
            parse(f"thermograph/v1/fridge-1/{leaf}", payload, ARRIVAL)
