"""The wire, version 1, against the golden examples in tests/wire/v1; on CPython and on MicroPython."""

import json
import struct

from thermograph import reading
from thermograph.reading import Batch, Gap, Kept, Reading

WIRE = __file__.rsplit("/", 2)[0] + "/wire/v1/"
ACKS = (
    "ack-not-json ack-not-object ack-no-stream ack-text-seq ack-negative ack-boolean ack-deep "
    "empty not-utf8 not-json not-object seq-huge"
)


def golden(name):
    with open(WIRE + name + ".json") as file:
        return json.load(file)


def encoded(name):
    """The golden example's rows, encoded by Batch and read again."""
    message = golden(name)["message"]
    batch = None
    for index, row in enumerate(message["r"]):
        sensor, unit = message["ch"][row[1]]
        fault = row[3] if len(row) > 3 else None
        made = Reading(message["t"] + row[0], message["tq"], sensor, unit, row[2], fault)
        kept = Kept(message["seq"] + index, message.get("boot", 3), made)
        if batch is None:
            batch = Batch(message["stream"], kept)
        else:
            assert batch.add(kept)
    assert batch.last == message["seq"] + len(message["r"]) - 1
    return json.loads(batch.encode(message.get("now", 0))), message


def check_telemetry_equals_the_golden_examples():
    for name in ("telemetry", "telemetry-faults", "telemetry-two-channels", "telemetry-no-clock"):
        made, wanted = encoded(name)
        assert made == wanted, (made, wanted)


def check_gap_equals_the_golden_example():
    example = golden("gap")
    lost = example["gap"]
    made = reading.gap(lost["stream"], Gap(lost["first"], lost["last"], lost["cause"]))
    assert json.loads(made) == example["message"]


def check_state_equals_the_golden_example():
    wanted = golden("state")["message"]
    health = {name: wanted[name] for name in ("reset", "uptime", "free", "block", "idf", "rssi")}
    made = reading.state(
        wanted["stream"], wanted["seq"], wanted["firmware"], health, wanted["outbox"], wanted["settings"]
    )
    assert json.loads(made) == wanted


def check_ack_is_read():
    message = golden("ack")["message"]
    assert reading.ack(json.dumps(message).encode()) == (message["stream"], message["seq"])
    assert reading.ack(b'{"stream":"9f3a1c02","seq":0}') == ("9f3a1c02", 0)


def check_malformed_acks_are_none():
    for name in ACKS.split():
        example = golden("malformed/" + name)
        payload = example["payload"].encode() if "payload" in example else bytes.fromhex(example["payload_hex"])
        assert reading.ack(payload) is None, name
    for payload in (
        b"",
        b"\xff\xfe",
        b'{"stream":"9F3A1C02","seq":1}',
        b'{"stream":"9f3a1c02","seq":1.0}',
        b'{"stream":"9f3a1c02","seq":1e400}',
        b'{"stream":7,"seq":1}',
        b'{"stream":"9f3a1c02","seq":null}',
        b'{"stream":"9f3a1c02","seq":281474976710656}',
        b"[" * 100,
        b'{"stream":"9f3a1c02","seq":1099511627777}',
    ):
        assert reading.ack(payload) is None, payload
    assert reading.ack(b'{"stream":"9f3a1c02","seq":1099511627776}') == ("9f3a1c02", 1 << 40)


def check_messages_stay_under_1_kib():
    for quality in ("ntp", "none"):
        for fault in (None, "out-of-range"):
            value = None if fault else struct.unpack("<f", struct.pack("<f", -1.2345678e-30))[0]
            batch, seq = None, (1 << 48) - 200
            while True:
                made = Reading(1763812345000 - seq % 2 * 86400000, quality, "x" * 32, "Cel", value, fault)
                kept = Kept(seq, 4294967295, made)
                if batch is None:
                    batch = Batch("9f3a1c02", kept)
                elif not batch.add(kept):
                    break
                seq += 1
            payload = batch.encode(1 << 47)
            assert 512 < len(payload) <= 1024, len(payload)
            assert len(json.loads(payload)["r"]) == seq - (1 << 48) + 200


def check_a_batch_holds_one_quality_and_one_boot_and_no_hole():
    def kept(seq, boot, quality):
        return Kept(seq, boot, Reading(1763812345000, quality, "a", "Cel", 1.5, None))

    assert not Batch("9f3a1c02", kept(5, 1, "ntp")).add(kept(6, 1, "rtc"))
    assert not Batch("9f3a1c02", kept(5, 1, "ntp")).add(kept(7, 1, "ntp"))
    assert not Batch("9f3a1c02", kept(5, 1, "none")).add(kept(6, 2, "none"))
    assert Batch("9f3a1c02", kept(5, 1, "ntp")).add(kept(6, 2, "ntp"))


def check_values_are_short_and_exact():
    for text in ("21.4375", "-40", "0", "4.31", "1e-30", "-9.876543e+29", "16777216", "0.1"):
        value = struct.unpack("<f", struct.pack("<f", float(text)))[0]
        made = reading.shortest(value)
        assert struct.pack("<f", float(made)) == struct.pack("<f", value), (text, made)
        assert len(made) <= len(text) + 4, (text, made)
    assert reading.shortest(4.309999942779541) == "4.31"
