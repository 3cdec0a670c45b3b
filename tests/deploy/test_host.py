"""What the host runs: the units, the broker's settings, the scripts, and the cloud-config that starts it all."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import paho.mqtt.client as mqtt
import pytest
import yaml

from backend.__main__ import main as backend
from backend.devices import Registry
from backend.settings import Settings
from tests.deploy.conftest import DEPLOY
from tests.ports import free_port
from tests.servers import Server, program, wait_for

CLOUD_INIT = Path(__file__).parents[2] / "var" / "tools" / "cloud-init"
SERVICES = ("web", "ingest", "archive", "alerts", "gateway", "compact")
SCRIPTS = sorted(DEPLOY.glob("*.sh"))


@pytest.fixture
def verify_units(tmp_path):
    """systemd-analyze verify on a copy of a host: this system's units, ours, and what ours start. What it says."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    host = tmp_path / "host"
    units = host / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copytree("/usr/lib/systemd/system", host / "usr/lib/systemd/system", symlinks=True)
    for unit in (DEPLOY / "systemd").iterdir():
        shutil.copy(unit, units)
    for started in ("opt/thermograph/.venv/bin/python", "bin/bash", "bin/systemctl"):
        (host / started).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", host / started)

    def verify(*names):
        command = ["systemd-analyze", "verify", f"--root={host}", *names]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    verify.units = units
    return verify


def test_systemd_finds_nothing_wrong_with_the_units(verify_units):
    plain = [unit.name for unit in (DEPLOY / "systemd").iterdir() if "@" not in unit.name]
    said = verify_units(*plain, *(f"thermograph@{service}.service" for service in SERVICES))
    assert said == ""


def test_systemd_would_have_said_what_is_wrong(verify_units):
    unit = verify_units.units / "thermograph@.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=allways").replace("/python ", "/pithon "))
    said = verify_units("thermograph@web.service")
    assert "allways" in said and "pithon" in said


def test_every_unit_starts_a_command_that_there_is(template):
    text = (DEPLOY / "systemd" / "thermograph@.service").read_text()
    assert "ExecStart=/opt/thermograph/.venv/bin/python -m backend %i\n" in text
    started = set(re.findall(r"thermograph@(\w+)\.service", (DEPLOY / "systemd" / "thermograph.target").read_text()))
    assert started | {"gateway", "compact"} == set(SERVICES)
    assert set(SERVICES) <= set(backend.list_commands(None))


def test_the_agent_carries_off_the_log_of_every_unit(template):
    wanted = json.loads((DEPLOY / "cloudwatch-agent.json").read_text())["logs"]["logs_collected"]["files"]
    by_file = {one["file_path"]: one["log_group_name"] for one in wanted["collect_list"]}
    groups = {
        one["Properties"]["LogGroupName"]["Fn::Sub"].replace("${AWS::StackName}", "@STACK@")
        for one in template["Resources"].values()
        if one["Type"] == "AWS::Logs::LogGroup" and "Condition" not in one
    }
    assert set(by_file.values()) == groups
    for service in (*SERVICES, "migrate"):
        assert f"/var/log/thermograph/{service}.log" in by_file


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_and_stop_at_the_first_error(script):
    assert "set -euo pipefail" in script.read_text()
    subprocess.run([shutil.which("bash"), "-n", script], check=True)


# The cloud-config.


@pytest.fixture
def cloud_config(stack):
    return stack.user_data()


def test_the_settings_that_cloud_init_writes_are_those_of_the_backend(cloud_config):
    files = {one["path"]: one["content"] for one in yaml.safe_load(cloud_config)["write_files"]}
    given = dict(line.split("=", 1) for line in files["/etc/thermograph/backend.env"].splitlines())
    settings = Settings.read(given)
    assert set(given) <= set(settings.environment())
    assert settings.s3_bucket.startswith("tg-archivebucket-") and settings.s3_prefix == "cold"
    assert "sslmode=verify-full" in settings.database and settings.broker == "mqtt://127.0.0.1:1883"
    stack = dict(line.split("=", 1) for line in files["/etc/thermograph/stack.env"].splitlines())
    assert re.fullmatch(r"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol[0-9a-f]+", stack["DATA_DEVICE"])
    assert stack["GATEWAY"] == "yes"
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)\b", "".join(path.read_text() for path in SCRIPTS + units())))
    assert used - {"THERMOGRAPH_BROKER_USER", "THERMOGRAPH_BROKER_PASSWORD"} <= stack.keys()
    assert len(cloud_config.encode()) < 16_384


def units():
    return sorted((DEPLOY / "systemd").iterdir())


def test_the_host_s_compact_alone_takes_on_the_compactor_s_role(cloud_config, stack, tmp_path, monkeypatch):
    files = {one["path"]: one["content"] for one in yaml.safe_load(cloud_config)["write_files"]}
    assert "EnvironmentFile=-/etc/thermograph/%i.env\n" in (DEPLOY / "systemd" / "thermograph@.service").read_text()
    assert files["/etc/thermograph/compact.env"] == "AWS_CONFIG_FILE=/etc/thermograph/compactor.aws\n"
    (tmp_path / "config").write_text(files["/etc/thermograph/compactor.aws"])
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    profile = boto3.Session()._session.get_scoped_config()
    assert profile["role_arn"].endswith(stack.outputs["CompactorRole"])
    assert profile["credential_source"] == "Ec2InstanceMetadata"


def test_cloud_init_s_own_schema_takes_it(cloud_config, tmp_path):
    file = tmp_path / "user-data"
    file.write_text(cloud_config)
    assert check_schema(file) == (True, "")
    file.write_text(cloud_config.replace("package_update: true", "package_update: [perhaps]"))
    valid, said = check_schema(file)
    assert not valid and "package_update" in said


def check_schema(file):
    """(valid, what is wrong). By the cloud-init that is installed, or the one that setup unpacked into var/tools."""
    if shutil.which("cloud-init"):
        command, environment = ["cloud-init", "schema", "--config-file", file], os.environ
    elif CLOUD_INIT.is_dir():
        command = [sys.executable, "-W", "ignore", "-m", "cloudinit.config.schema", "-c", file]
        environment = {**os.environ, "PYTHONPATH": str(CLOUD_INIT / "usr/lib/python3/dist-packages")}
    else:
        pytest.skip("cloud-init is not here: python -m tools setup --for test unpacks it on Debian and Ubuntu")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    valid = done.returncode == 0 and "Valid" in done.stdout
    return valid, "" if valid else done.stdout + done.stderr


# The broker.


class Broker(Server):
    """mosquitto with the host's own settings, certificate and users; only folders and ports are this test's."""

    def __init__(self, folder, registry):
        super().__init__(folder)
        self.inside = free_port()
        self.tls, self.queues = folder / "tls", folder / "queues"
        self.queues.mkdir()
        run_script("certificate.sh", self.tls, "127.0.0.1", "localhost")
        self.make_users(registry)
        shutil.copy(DEPLOY / "mosquitto.acl", folder / "acl")
        text = (DEPLOY / "mosquitto.conf").read_text()
        for there, here in {
            "listener 1883 127.0.0.1": f"listener {self.inside} 127.0.0.1",
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "/srv/thermograph/tls": self.tls,
            "/srv/thermograph/mosquitto/": f"{self.queues}/",
            "/etc/mosquitto": folder,
            "file /var/log/mosquitto/mosquitto.log": "stderr",
        }.items():
            assert there in text
            text = text.replace(there, str(here))
        user = "user root\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(user + text)
        for file in ("passwords", "acl"):
            (folder / file).chmod(0o600)
            if os.geteuid() == 0:
                os.chown(folder / file, 0, 0)

    def make_users(self, registry):
        run_script(
            "broker-users.sh",
            registry.file.parent / "mosquitto-passwords",
            self.folder / "passwords",
            THERMOGRAPH_BROKER_USER="backend",
            THERMOGRAPH_BROKER_PASSWORD="of-the-backend",
        )

    def command(self):
        return [program("mosquitto"), "-c", str(self.folder / "mosquitto.conf")]


def run_script(name, *arguments, **environment):
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    command = ["bash", DEPLOY / name, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Client:
    """An MQTT client that notes whether it was let in and what it heard. ca: of TLS; None: in the clear."""

    def __init__(self, port, user, password, ca=None, client_id=""):
        self.heard, self.answers, self.lost = [], [], threading.Event()
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv311)
        self.mqtt.username_pw_set(user, password)
        if ca:
            self.mqtt.tls_set(ca_certs=str(ca))
        self.mqtt.on_connect = lambda client, data, flags, reason, properties: self.answers.append(str(reason))
        self.mqtt.on_disconnect = lambda *_: self.lost.set()
        self.mqtt.on_message = lambda client, data, message: self.heard.append((message.topic, message.payload))
        self.mqtt.connect("localhost" if ca else "127.0.0.1", port)
        self.mqtt.loop_start()
        wait_for(lambda: self.answers, "answer of the broker")

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "state")
    registry.register("fridge-1")
    registry.register("fridge-2")
    return registry


@pytest.fixture
def broker(tmp_path, registry):
    if not program("mosquitto"):
        pytest.skip("mosquitto is not installed: python -m tools setup --for test")
    broker = Broker(tmp_path / "broker", registry)
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def connect(broker, registry):
    clients = []

    def connect(user, **more):
        if user == "backend":
            client = Client(broker.inside, user, "of-the-backend", **more)
        else:
            client = Client(broker.port, user, str(registry.read()[user].password), broker.tls / "ca.crt", **more)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def test_a_device_speaks_over_tls_and_under_its_own_name_only(connect):
    backend, one, two = connect("backend"), connect("fridge-1"), connect("fridge-2")
    for client, topic in ((backend, "thermograph/#"), (two, "thermograph/#")):
        client.mqtt.subscribe(topic, 1)
    wait_for(lambda: heard_back(backend, "thermograph/v1/backend/x"), "subscription")
    two.mqtt.publish("thermograph/v1/fridge-1/telemetry", b"forged", 1).wait_for_publish(10)
    one.mqtt.publish("elsewhere", b"forged", 1).wait_for_publish(10)
    one.mqtt.publish("thermograph/v1/fridge-1/telemetry", b"own", 1).wait_for_publish(10)
    wait_for(lambda: ("thermograph/v1/fridge-1/telemetry", b"own") in backend.heard, "telemetry")
    backend.mqtt.publish("thermograph/v1/fridge-2/ack", b"for two", 1)
    wait_for(lambda: ("thermograph/v1/fridge-2/ack", b"for two") in two.heard, "ack")
    assert b"forged" not in [payload for _, payload in backend.heard]
    assert {topic.split("/")[2] for topic, _ in two.heard} == {"fridge-2"}


def heard_back(client, topic):
    client.mqtt.publish(topic, b"?", 1)
    return any(heard == topic for heard, _ in client.heard)


def test_a_device_cannot_take_the_client_id_of_ingest(connect):
    ingest = connect("backend", client_id="thermograph-ingest")
    connect("fridge-1", client_id="thermograph-ingest")
    connect("fridge-2", client_id="thermograph-ingest")
    ingest.mqtt.subscribe("thermograph/#", 1)
    wait_for(lambda: heard_back(ingest, "thermograph/v1/backend/x"), "subscription")
    assert not ingest.lost.is_set()


def test_wrong_passwords_and_nobody_are_refused(broker):
    for user, password in (("fridge-1", "guessed"), ("backend", "guessed"), (None, None)):
        client = Client(broker.port, user, password, broker.tls / "ca.crt")
        client.close()
        assert client.answers[0] != "Success"


def test_a_device_that_is_registered_while_the_broker_runs_is_let_in(broker, registry, connect):
    registry.register("fridge-3")
    broker.make_users(registry)
    broker.process.send_signal(1)

    def let_in():
        client = connect("fridge-3")
        return client.answers[0] == "Success"

    wait_for(let_in, "device of late")


def test_the_devices_file_cannot_bring_another_backend(tmp_path, registry):
    devices = registry.file.parent / "mosquitto-passwords"
    devices.write_text(devices.read_text() + "backend:$7$101$forged==$forged==\n")
    if not program("mosquitto_passwd"):
        pytest.skip("mosquitto is not installed: python -m tools setup --for test")
    run_script(
        "broker-users.sh",
        devices,
        tmp_path / "passwords",
        THERMOGRAPH_BROKER_USER="backend",
        THERMOGRAPH_BROKER_PASSWORD="x",
    )
    lines = (tmp_path / "passwords").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["backend", "fridge-1", "fridge-2"]
    assert "forged" not in lines[0] and lines[0].startswith("backend:$7$")


def test_the_authority_stays_and_the_certificate_follows_the_name(tmp_path):
    run_script("certificate.sh", tmp_path / "tls", "192.0.2.1")
    before = {file.name: file.read_bytes() for file in (tmp_path / "tls").iterdir()}
    run_script("certificate.sh", tmp_path / "tls", "192.0.2.1")
    assert {file.name: file.read_bytes() for file in (tmp_path / "tls").iterdir()} == before
    run_script("certificate.sh", tmp_path / "tls", "192.0.2.1", "broker.example.org")
    after = {file.name: file.read_bytes() for file in (tmp_path / "tls").iterdir()}
    assert after["ca.crt"] == before["ca.crt"] and after["server.crt"] != before["server.crt"]
    command = ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", "broker.example.org", "server.crt"]
    subprocess.run(command, cwd=tmp_path / "tls", check=True, stdout=subprocess.DEVNULL)
