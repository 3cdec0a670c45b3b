"""Get MicroPython for this machine: Debian's own package, or a copy of a newer Debian's in var/tools."""

import os
import platform
import re
import shutil
import tempfile
import time
from pathlib import Path

from backend.run import micropython
from backend.run.layout import TOOLS

from . import debian

# Debian 12's MicroPython is too old. These, of Debian 13, run beside it with their own C library and loader.
NEWER = "trixie"
PACKAGES = ("micropython", "libc6", "libffi8", "libmbedtls21", "libmbedcrypto16", "libmbedx509-7")
# The 32-bit one's C library needs this too, to end its threads.
PACKAGES_32 = (*PACKAGES, "libgcc-s1")
FAILED = TOOLS / "micropython.failed"
FAILED_32 = TOOLS / "micropython-i386.failed"
TRY_AGAIN_AFTER = 24 * 3600
SOURCES = Path("/etc/apt")
RELEASE = Path("/etc/os-release")


def get(insist: bool) -> bool:
    """Whether this machine has one now. insist: try even if it failed not long ago."""
    if micropython.find(os.environ):
        return True
    if not debian.is_here() or (not insist and _failed_lately(FAILED)):
        return False
    if (debian.candidate("micropython") or (0, 0)) >= micropython.OLDEST and debian.can_install():
        print("Installing MicroPython (the Debian package micropython) ...", flush=True)
        if debian.install(["micropython"]) and micropython.find(os.environ):
            return True
    return _unpacked(micropython.UNPACKED, FAILED, None) and micropython.find(os.environ) is not None


def get_32(insist: bool) -> bool:
    """Whether this machine has a 32-bit one now, which an x86 of 64 bits runs too. insist: as in get."""
    if micropython.find_32():
        return True
    if platform.system() != "Linux" or platform.machine() != "x86_64" or not debian.is_here():
        return False
    if not insist and _failed_lately(FAILED_32):
        return False
    return _unpacked(micropython.UNPACKED_32, FAILED_32, "i386") and micropython.find_32() is not None


def _unpacked(target: Path, failed: Path, architecture: str | None) -> bool:
    """Get the newer Debian's; `failed` is touched if it cannot be had."""
    source = newer_source(_release().get("VERSION_CODENAME", "")) if _release().get("ID") == "debian" else None
    if source is None:
        return False
    kind = f" for {architecture}" if architecture else ""
    print(f"Getting MicroPython of Debian {NEWER}{kind} into {target} (this system is not touched) ...", flush=True)
    if unpack(source, target, architecture):
        failed.unlink(missing_ok=True)
        return True
    TOOLS.mkdir(parents=True, exist_ok=True)
    failed.touch()
    return False


def unpack(source: str, target: Path, architecture: str | None = None) -> bool:
    """Download the packages through a private apt, which knows source only, and unpack them. Needs no root.
    architecture: of the packages, if it is not this machine's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name).resolve()
        for part in ("sources", "state/lists/partial", "cache/archives/partial", "packages", "unpacked"):
            (folder / part).mkdir(parents=True)
        (folder / "sources" / "newer.sources").write_text(source, encoding="utf-8")
        options = [f"-o{key}={value}" for key, value in _private_apt(folder, architecture).items()]
        apt = ["apt-get", *debian.OPTIONS, *options]
        packages = PACKAGES if architecture is None else PACKAGES_32
        if not debian.run([*apt, "update"]) or not debian.run([*apt, "download", *packages], folder / "packages"):
            return False
        for package in sorted((folder / "packages").glob("*.deb")):
            if not debian.run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")]):
                return False
        shutil.rmtree(target, ignore_errors=True)
        (folder / "unpacked").rename(target)
    return True


def _private_apt(folder: Path, architecture: str | None) -> dict[str, str]:
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": str(folder / "sources"),
        "Dir::State": str(folder / "state"),
        "Dir::Cache": str(folder / "cache"),
        "Dir::State::status": "/var/lib/dpkg/status",
        "APT::Sandbox::User": "",
        "APT::Update::Post-Invoke::": "true",
        "Acquire::Languages": "none",
    }
    if architecture is not None:  # nothing of that kind is installed here, whatever dpkg knows
        options |= {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "Dir::State::status": "/dev/null",
        }
    return options


def newer_source(codename: str, folder: Path = SOURCES) -> str | None:
    """The entry of this machine's own apt sources for its release, rewritten for the newer one: the same mirror."""
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            fields = _fields(paragraph)
            if codename in fields.get("Suites", "").split() and "main" in fields.get("Components", "").split():
                return _paragraph(fields["URIs"], fields.get("Signed-By"))
    for path in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            entry = re.match(rf"deb\s+(?:\[(.*?)\]\s*)?(\S+)\s+{re.escape(codename)}\s+(?:.*\s)?main\b", line.strip())
            if codename and entry:
                key = re.search(r"signed-by=(\S+)", entry[1] or "")
                return _paragraph(entry[2], key[1] if key else None)
    return None


def _paragraph(uris: str, signed_by: str | None) -> str:
    key = f"Signed-By: {signed_by}\n" if signed_by else ""
    return f"Types: deb\nURIs: {uris}\nSuites: {NEWER}\nComponents: main\n{key}"


def _fields(paragraph: str) -> dict[str, str]:
    """deb822: a line that starts with a space goes on with the field above it."""
    lines = "\n".join(line for line in paragraph.splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, value in re.findall(r"^([A-Za-z-]+):(.*(?:\n[ \t].*)*)", lines, re.M)}


def _release() -> dict[str, str]:
    if not RELEASE.is_file():
        return {}
    lines = RELEASE.read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _failed_lately(failed: Path) -> bool:
    return failed.is_file() and time.time() - failed.stat().st_mtime < TRY_AGAIN_AFTER
