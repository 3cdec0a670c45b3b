"""`monitor`: console and MQTT on one timeline, decoded, without a secret in it."""

import json
import os
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from backend.database import Database
from backend.devices import Registry
from backend.run import micropython
from tests.end_to_end.world import ROOT
from tests.servers import program, wait_for
from tests.tools.fake_board import powered
from tests.tools.flash_bench import QUICK, Desk
from tools.board import files, repl
from tools.board.mask import Mask
from tools.board.traffic import words


@pytest.mark.parametrize(
    ("leaf", "payload", "shown"),
    [
        (
            "telemetry",
            '{"v":1,"stream":"9f3a1c02","seq":7,"t":1,"tq":"ntp","ch":[["a","Cel"]],"r":[[0,0,21.5],[9,0,null,"crc"]]}',
            "2 readings, seq 7 to 8; last: a fault crc (ntp)",
        ),
        ("telemetry", '{"v":1,"stream":"9f3a1c02","gap":[3,9],"cause":"flash-full"}', "gap 3 to 9: flash-full"),
        ("ack", '{"stream":"9f3a1c02","seq":8}', "stored up to seq 8 of stream 9f3a1c02"),
        ("status", "online", "online"),
        ("state", '{"firmware":"1.0","rssi":-60,"other":1}', "firmware=1.0 rssi=-60"),
        (
            "state",
            '{"free":34000,"block":15360,"idf":18900,"outbox":{"depth":12,"capacity":65024},"link":"tcp: no answer"}',
            "heap-free=34000 idf-free=18900 idf-block=15360 outbox=12 of 65024 link=tcp: no answer",
        ),
        ("state", '{"outbox":12}', '{"outbox":12}'),
        ("settings", '{"broker":{"password":"unheard of"}}', '{"broker":{"password":"***"}}'),
        ("telemetry", '{"r":[]}', '{"r":[]}'),
        ("telemetry", "\x1b[2Jx\n", "\N{REPLACEMENT CHARACTER}[2Jx\N{REPLACEMENT CHARACTER}"),
        ("telemetry", "[" * 100_000, "[" * 300),
    ],
)
def test_traffic_in_words(leaf, payload, shown):
    assert words(f"thermograph/v1/fridge-1/{leaf}", payload.encode(), Mask()) == ("fridge-1", leaf, shown)


@pytest.mark.skipif(
    not (micropython.find(os.environ) and program("mosquitto")),
    reason="MicroPython or mosquitto is not installed: python -m tools setup --for test",
)
def test_console_and_traffic_stand_in_one_order_and_no_secret_with_them(tmp_path):
    desk = Desk(tmp_path).open()
    database = Database(desk.environment["THERMOGRAPH_DATABASE"])
    secret = str(Registry(desk.state).register("fridge-1", "240ac4000110").password)
    try:
        with powered(tmp_path / "board") as board:
            prepare(board, desk, secret)
            lines = watch(desk, board, secret)
    finally:
        database.close()
        desk.broker.close()
    events = [json.loads(line) for line in lines]
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    console = [event["text"] for event in events if event["source"] == "console"]
    leaves = {event["leaf"] for event in events if event["source"] == "fridge-1"}
    assert any(" sample 28ff641e8216c3a1 " in text for text in console)
    assert {"telemetry", "settings"} <= leaves
    assert "***" in "".join(lines) and secret not in "".join(lines)


def prepare(board, desk, secret):
    prompt = repl.connect(board.port, Mask())
    files.synchronise(prompt, files.firmware("linux"), False, lambda done, total: None)
    fields = {"host": "127.0.0.1", "port": desk.broker.port, "user": "fridge-1", "password": secret, "timeout": 2}
    prompt.save_settings({**QUICK, "device": "fridge-1", "broker": fields}, "linux")
    prompt.reset()
    prompt.close()


def watch(desk, board, secret):
    """The lines of the command, until both sides were heard; somebody says the secret on each of them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools", "monitor", "--port", board.port, "--device", "fridge-1", "--json"],
        cwd=ROOT,
        env={**os.environ, **desk.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
    reader.start()
    talker = mqtt.Client(CallbackAPIVersion.VERSION2, "talker")
    talker.connect("127.0.0.1", desk.broker.port)
    talker.loop_start()
    try:
        wait_for(lambda: any("telemetry" in line for line in lines) or process.poll() is not None, "telemetry")
        payload = json.dumps({"revision": 1, "note": f"never show {secret}"})
        talker.publish("thermograph/v1/fridge-1/settings", payload, 1).wait_for_publish(10)
        wait_for(lambda: any('"settings"' in line for line in lines) or process.poll() is not None, "settings")
        wait_for(lambda: any(" sample " in line for line in lines) or process.poll() is not None, "sample")
        assert process.poll() is None, lines
    finally:
        talker.disconnect()
        talker.loop_stop()
        process.terminate()
        process.wait(20)
        reader.join(20)
        process.stdout.close()
    return lines


def test_a_broker_that_is_down_is_said(tmp_path):
    desk = Desk(tmp_path)
    result = desk.run("monitor", "--no-console")
    assert result.exit_code == 69 and "make run" in result.output and "Traceback" not in result.output
    assert desk.run("monitor", "--no-console", "--no-mqtt").exit_code == 78
    assert desk.run("monitor", "--no-mqtt", "--port", "/dev/no-such-board").exit_code == 10
