"""A broker without a limit sends all that waited before its answer to the subscription: ingest takes it all."""

import subprocess

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from backend import ledger
from backend.settings import Settings
from tests.backend.test_commit import telemetry
from tests.end_to_end.world import Part
from tests.servers import Mosquitto, program, wait_for

WAITING = 500


@pytest.fixture
def broker(tmp_path):
    if not program("mosquitto_sub"):
        pytest.skip("mosquitto is not installed: python -m tools setup --for test")
    (tmp_path / "broker").mkdir()
    server = Mosquitto(tmp_path / "broker")
    conf = tmp_path / "broker" / "mosquitto.conf"
    conf.write_text("max_inflight_messages 0\nmax_queued_messages 0\n" + conf.read_text())
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.sqlite_only
def test_more_waits_than_there_is_room_for(database, database_url, broker, tmp_path, version):
    session = ["-i", "ingest", "-c", "-E", "-q", "1", "-t", "thermograph/v1/+/telemetry"]
    subprocess.run([program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(broker.port), *session], check=True)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    messages = [telemetry(number) for number in range(1, WAITING + 1)]
    sent = [client.publish(message.topic.decode(), message.payload, qos=1) for message in messages]
    for each in sent:
        each.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
    settings = Settings(
        database=database_url,
        broker=f"mqtt://127.0.0.1:{broker.port}",
        broker_version=version,
        ingest_id="ingest",
        ingest_batch=20,
        enrolment="open",
    )
    (tmp_path / "ingest").mkdir(exist_ok=True)
    ingest = Part(tmp_path / "ingest", "ingest", settings)
    ingest.start()
    try:

        def stored():
            with database.read() as connection:
                return sum(stream.stored for stream in ledger.read(connection))

        wait_for(lambda: stored() == WAITING, "all that waited")
    finally:
        ingest.close()
