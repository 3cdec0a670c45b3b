"""The composition: which services make up a whole machine, with what settings, in what order."""

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import private
from ..settings import Settings
from . import backend_services, broker, environment, lock, object_store, ports, probes, umqtt
from . import device as simulated
from .console import Console
from .credentials import Credentials
from .layout import Layout
from .supervisor import Supervisor

ANYWHERE = "0.0.0.0"  # noqa: S104 - asked for by --lan


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the command line decides."""

    web_port: int
    broker_port: int
    s3_port: int
    lan: bool
    state_dir: Path
    device: bool
    interval: float
    archive_age: float


def run(choices: Choices, console: Console, started: float) -> None:
    """Until Ctrl-C or SIGTERM. started: time.monotonic() when the command began.

    Raises PortBusy, ServiceFailed and what else keeps it from coming up; then nothing is left running.
    """
    layout = Layout(private.make_folder(choices.state_dir))
    supervisor = Supervisor(console)
    with lock.hold(layout.lock), supervisor.guarding():
        ports.check(
            [
                ports.Port(choices.web_port, "the web page", "--web-port"),
                ports.Port(choices.broker_port, "the MQTT broker", "--broker-port"),
                ports.Port(choices.s3_port, "the S3 server", "--s3-port", width=len(object_store.PORT_FLAGS)),
            ]
        )
        credentials = Credentials.load(layout.credentials)
        settings = settings_for(choices, layout, credentials)
        variables = environment.of(settings, credentials)
        environment.save(layout, variables)
        host = ANYWHERE if choices.lan else ports.HOST
        mqtt = broker.Broker(layout, host, choices.broker_port, credentials)
        supervisor.start(
            [
                mqtt.service(),
                object_store.service(layout, choices.s3_port, credentials),
            ]
        )
        with ThreadPoolExecutor(1) as aside:
            # The import alone takes as long as the broker needs to come up.
            migration = aside.submit(_migrate, settings)
            supervisor.wait_ready()
            migration.result()
        supervisor.start(backend_services.services(layout, settings, variables))
        supervisor.wait_ready()
        console.up(f"http://{ports.HOST}:{choices.web_port}/", time.monotonic() - started)
        if probes.leads_to(choices.web_port, "/sign-in", "/welcome"):
            console.note("Your first visit makes your account: a name and a password.")
        if choices.device:
            _start_device(choices, layout, credentials, console, supervisor)
        supervisor.watch(lambda: _follow(mqtt, console))


def _follow(mqtt: broker.Broker, console: Console) -> None:
    if told := mqtt.follow():
        console.note(told)


def settings_for(choices: Choices, layout: Layout, credentials: Credentials) -> Settings:
    return Settings(
        state_dir=layout.state,
        database=f"sqlite:///{layout.database.as_posix()}",
        broker=f"mqtt://{ports.HOST}:{choices.broker_port}",
        broker_user=broker.BACKEND,
        broker_password=credentials.backend,
        ingest_id=credentials.ingest_id,
        enrolment="open",
        s3_endpoint=f"http://{ports.HOST}:{choices.s3_port}",
        archive_age=choices.archive_age,
        web_host=ports.HOST,
        web_port=choices.web_port,
        welcome="open",
    )


def _migrate(settings: Settings) -> None:
    from ..database import Database

    database = Database(settings.database, settings.database_password)
    try:
        database.migrate()
    finally:
        database.close()


def _start_device(
    choices: Choices, layout: Layout, credentials: Credentials, console: Console, supervisor: Supervisor
) -> None:
    library = umqtt.find(os.environ)
    if library is None:
        console.note(f"Fetching {umqtt.REQUIREMENT}, the device's MQTT client ...")
        library = umqtt.fetch()
    name = broker.DEMO
    device = simulated.Device(name, layout.device(name), choices.broker_port, credentials.device, choices.interval)
    supervisor.start([simulated.service(device, layout, library, console, supervisor.post)])
    supervisor.wait_ready()
