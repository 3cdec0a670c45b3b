"""umqtt.simple, the MQTT client of the firmware: found on this machine, or fetched from the package index by hash.

It is on PyPI, but without a setup.py pip cannot install it, and CPython could not import it from there as the firmware
does. So its one file is unpacked into a folder that MicroPython and CPython are pointed at.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import private
from ..errors import ServiceFailed, Unavailable
from .layout import TOOLS

VARIABLE = "THERMOGRAPH_UMQTT"
REQUIREMENT = "micropython-umqtt.simple==1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
FOLDER = TOOLS / "umqtt"
LARGEST = 64 * 1024


def find(environ: Mapping[str, str], folder: Path = FOLDER) -> Path | None:
    """The folder that holds umqtt/simple.py: the variable's, else ours."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    return folder if (folder / "umqtt" / "simple.py").is_file() else None


def fetch(folder: Path = FOLDER, options: Mapping[str, list[str]] | None = None, sha256: str = SHA256) -> Path:
    """Download, verify, unpack. options: pip's (index-url, find-links, ...); by default as pip is configured here.

    Raises Unavailable when no index has it or answers, ServiceFailed when what came is not what was expected.
    """
    archive = _download(pip_options() if options is None else options)
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise ServiceFailed(
            f"The package index sent a wrong {REQUIREMENT}: SHA-256 {found}, expected {sha256}.",
            "Nothing was unpacked. Check the index that pip is configured with: python -m pip config list",
        )
    private.write(folder / "umqtt" / "simple.py", _module(archive))
    return folder


def _module(archive: bytes) -> str:
    # Only this one member's bytes are taken: no path of the archive ever reaches the file system.
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith("/umqtt/simple.py") and member.size < LARGEST:
                content = tar.extractfile(member)
                if content is not None:
                    return content.read().decode("utf-8")
    raise ServiceFailed(f"{REQUIREMENT} holds no umqtt/simple.py.")


def _download(options: Mapping[str, list[str]]) -> bytes:
    from unearth import PackageFinder
    from unearth.errors import UnpackError
    from unearth.fetchers.sync import PyPIClient

    unavailable = Unavailable(
        f"{REQUIREMENT} could not be fetched from the package index.",
        "Check the network and `python -m pip config list`, then run it again; or unpack it by hand and point "
        f"{VARIABLE} at the folder that holds umqtt/simple.py.",
    )
    # An empty finder names the public index itself; one that is given sources has those only.
    indexes = options.get("index-url") or [source["url"] for source in PackageFinder().sources]
    with (
        tempfile.TemporaryDirectory() as folder,
        PyPIClient(trusted_hosts=options.get("trusted-host", []), **_certificates(options)) as session,
    ):
        finder = PackageFinder(
            session,  # type: ignore[arg-type]  # its own client does not match its own protocol to the letter
            index_urls=[] if options.get("no-index") else [*indexes, *options.get("extra-index-url", [])],
            find_links=options.get("find-links", []),
            no_binary=[REQUIREMENT.partition("==")[0]],
        )
        try:
            best = finder.find_best_match(REQUIREMENT).best
            if best is None:
                raise unavailable
            # The hash is checked by fetch(): an index may name another one, or none.
            return Path(finder.download(best.link, folder, hashes={})).read_bytes()
        except (OSError, UnpackError, _network_error()) as error:
            raise unavailable from error


def _network_error() -> type[Exception]:
    import httpx2

    return httpx2.HTTPError


def _certificates(options: Mapping[str, list[str]]) -> dict[str, Any]:
    import ssl

    return {"verify": ssl.create_default_context(cafile=options["cert"][0])} if options.get("cert") else {}


def pip_options() -> dict[str, list[str]]:
    """Where pip looks for packages on this machine. A variable stands above the user's file, as it does for pip."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found: dict[str, list[str]] = {}
    for line in sorted(listing.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        section, _, rest = line.partition(".")
        name, _, value = rest.partition("=")
        if section in ("global", "download", ":env:"):
            found[name] = value.strip("'\"").replace("\\n", " ").split()
    return found
