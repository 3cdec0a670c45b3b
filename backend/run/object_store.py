"""The embedded S3 server: SeaweedFS in one process, on 127.0.0.1 only, with the admin pages and WebDAV off.

Its parts talk over ports of their own, numbered on from the S3 port, so that several runs fit on one machine. Those
inner ports ask for no password; anyone with an account on this machine can reach them. Good for a desk, not for a
shared server: production uses Amazon S3.
"""

import json

from .. import private
from . import probes
from .broker import program
from .child import Service
from .credentials import Credentials
from .layout import Layout
from .ports import HOST

# In this order from the S3 port on.
PORT_FLAGS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


def service(layout: Layout, port: int, credentials: Credentials) -> Service:
    folder = private.make_folder(layout.objects)
    data = private.make_folder(folder / "data")
    identities = folder / "identities.json"
    private.write(identities, configuration(credentials))
    ports = [f"-{flag}={port + offset}" for offset, flag in enumerate(PORT_FLAGS)]
    return Service(
        name="s3",
        about=f"S3 on {HOST}:{port}",
        command=[
            program("weed"),
            "mini",
            f"-dir={data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            f"-s3.config={identities}",
            *ports,
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam=false",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
        ],
        environment={"HOME": str(folder)},
        folder=folder,
        log=layout.log("s3"),
        ready=lambda _: probes.http_answers(port, "/healthz"),
        ready_within=60,
        stop_within=15,
    )


def configuration(credentials: Credentials) -> str:
    identity = {
        "name": "thermograph",
        "credentials": [{"accessKey": credentials.s3_key, "secretKey": str(credentials.s3_secret)}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]}, indent=1) + "\n"
