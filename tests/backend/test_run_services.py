"""The embedded broker and S3 server as `python -m backend run` starts them."""

import threading
import time

import boto3
import paho.mqtt.client as mqtt
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from paho.mqtt.enums import CallbackAPIVersion

from backend.devices import Registry
from backend.run import broker, object_store, probes
from backend.run.child import Child
from backend.run.credentials import Credentials
from backend.run.layout import Layout
from tests.backend.run_helpers import free_block
from tests.ports import free_port
from tests.servers import wait_for


@pytest.fixture
def started(tmp_path):
    """Start a service, wait until it is ready, and leave none behind."""
    children = []

    def start(service):
        child = Child(service)
        children.append(child)
        wait_for(lambda: service.ready(child), service.name)
        return child

    yield start
    for child in children:
        child.ask_to_stop()
        assert child.wait(15), child.service.name


class Client:
    """A paho client that notes what happens to it."""

    def __init__(self, port, user, password, client_id=""):
        self.messages = []
        self.connected = threading.Event()
        self.refused = threading.Event()
        self.granted = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id)
        if user:
            self._client.username_pw_set(user, str(password))
        self._client.on_connect = self._on_connect
        self._client.on_message = lambda _c, _u, message: self.messages.append((message.topic, message.payload))
        self._client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.append(not codes[0].is_failure)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, _client, _userdata, _flags, code, _properties):
        (self.refused if code.is_failure else self.connected).set()

    def may_subscribe(self, topic):
        before = len(self.granted)
        self._client.subscribe(topic, 1)
        wait_for(lambda: len(self.granted) > before, "SUBACK")
        return self.granted[-1]

    def publish(self, topic, payload, retain=False):
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def connect():
    clients = []

    def connect(*arguments):
        clients.append(Client(*arguments))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def bus(tmp_path, started):
    credentials, port = Credentials.new(), free_port()
    Registry(tmp_path).register("other")
    started(broker.Broker(Layout(tmp_path), "127.0.0.1", port, credentials).service())
    return port, credentials


def test_the_broker_refuses_a_wrong_password_and_no_password(bus, connect):
    port, credentials = bus
    assert connect(port, "demo", "guessed").refused.wait(5)
    assert connect(port, "backend", credentials.device).refused.wait(5)
    assert connect(port, "", "").refused.wait(5)
    assert connect(port, "demo", credentials.device).connected.wait(5)


def test_a_device_that_is_registered_meanwhile_is_admitted_and_nobody_is_thrown_off(tmp_path, started, connect):
    credentials, port = Credentials.new(), free_port()
    service = broker.Broker(Layout(tmp_path), "127.0.0.1", port, credentials)
    started(service.service())
    demo = connect(port, "demo", credentials.device)
    assert demo.connected.wait(5)
    assert service.follow() is None
    made = Registry(tmp_path).register("fridge-1", "24:0a:c4:00:01:10")
    assert not probes.mqtt_accepts(port, made.name, made.password)
    assert "knows it" in service.follow()
    wait_for(lambda: probes.mqtt_accepts(port, made.name, made.password), "admission of the new device")
    assert demo.may_subscribe("thermograph/v1/demo/#")
    assert service.follow() is None


def test_a_device_speaks_for_itself_only(bus, connect):
    port, credentials = bus
    backend = connect(port, "backend", credentials.backend)
    demo = connect(port, "demo", credentials.device)
    assert backend.may_subscribe("thermograph/v1/#")

    demo.publish("thermograph/v1/other/telemetry", b"forged")
    demo.publish("thermograph/v1/demo/ack", b"forged")
    demo.publish("$MQTT/msgs/thermograph/v1/other/telemetry", b"forged")
    demo.publish("thermograph/v1/demo/telemetry", b"own")
    wait_for(lambda: backend.messages, "message")
    time.sleep(0.2)
    assert backend.messages == [("thermograph/v1/demo/telemetry", b"own")]


@pytest.mark.parametrize(
    "topic",
    ["#", "+/+/+/+", "thermograph/#", "thermograph/v1/other/ack", "thermograph/v1/>", "$MQTT/#", "$JS/#", "$SYS/#"],
)
def test_a_device_hears_only_what_is_meant_for_it(bus, connect, topic):
    port, credentials = bus
    demo = connect(port, "demo", credentials.device)
    assert not demo.may_subscribe(topic)
    assert demo.may_subscribe("thermograph/v1/demo/#")
    backend = connect(port, "backend", credentials.backend)
    backend.publish("thermograph/v1/other/ack", b"not for demo")
    backend.publish("thermograph/v1/demo/ack", b"for demo", True)
    wait_for(lambda: demo.messages, "message")
    assert demo.messages == [("thermograph/v1/demo/ack", b"for demo")]


def client(port, key, secret):
    return boto3.Session().client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(signature_version="s3v4"),
    )


def test_an_object_survives_kill_9_of_the_s3_server(tmp_path, started):
    credentials, port = Credentials.new(), free_block(len(object_store.PORT_FLAGS))
    service = object_store.service(Layout(tmp_path), port, credentials)
    first = started(service)
    s3 = client(port, credentials.s3_key, credentials.s3_secret)
    wait_for(lambda: _creates_bucket(s3), "bucket")
    s3.put_object(Bucket="thermograph", Key="readings/a", Body=b"x" * 100_000)
    first.kill()

    started(service)
    # Its S3 side answers a moment before its volume has come back, with 500 till then, which clients try again.
    wait_for(lambda: _gets(s3, "readings/a") == b"x" * 100_000, "object")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(port, credentials.s3_key, "guessed").list_buckets()
    assert probes.http_answers(port, "/healthz")


def _gets(s3, key):
    try:
        return s3.get_object(Bucket="thermograph", Key=key)["Body"].read()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500, error
        return None


def _creates_bucket(s3):
    try:
        s3.create_bucket(Bucket="thermograph")
    except ClientError:
        return False
    return True
