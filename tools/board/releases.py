"""Official releases of MicroPython, pinned by SHA-256: downloaded once, kept in the user's cache.

The ESP32's hash is the one that micropython.org's file has. The ESP32-S3's was read from a Git LFS pointer to that file
in a public repository, for lack of a better source: a wrong one can only refuse a download. For the C3 no hash is
known, so its file has to be given.
"""

import dataclasses
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from .errors import FlashFailed

SITE = "https://micropython.org"
FOLDER = "/resources/firmware/"
PAGE = "/download/"
PATIENCE = 30.0
CHUNK = 64 * 1024
LARGEST = 8 * 1024 * 1024

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Release:
    """board: as micropython.org names it. sha256: "" where none is known."""

    board: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.board}-20251209-v1.27.0.bin"


RELEASES = {
    "ESP32": Release("ESP32_GENERIC", "aa4be80ec695911ba0f13f7558e559ce540f90efbf40c23b853ca49162136b9f"),
    "ESP32-S3": Release("ESP32_GENERIC_S3", "f533115edca660863b1308445d5c08e3fa108b34c39229a53c2f984a8186a9cd"),
    "ESP32-C3": Release("ESP32_GENERIC_C3", ""),
}


def fetch(chip: str, cache: Path | None = None, progress: Progress | None = None, site: str = SITE) -> Path:
    """The .bin for a chip ("ESP32", "ESP32-S3", "ESP32-C3"), from the cache or downloaded into it, checked either way.

    progress: called with bytes done and bytes in all (0 if unknown). Raises FlashFailed.
    """
    release = RELEASES.get(chip)
    if release is None:
        raise FlashFailed(
            f"No release of MicroPython is pinned for the {chip}.",
            f"Known are {', '.join(RELEASES)}: use one of those.",
        )
    by_hand = f"Download it from {SITE}{PAGE}{release.board}/ and give it by --micropython FILE."
    if not release.sha256:
        raise FlashFailed(f"No SHA-256 is known here for {release.file}, so it is not downloaded.", by_hand)
    kept = (cache or _user_cache()) / release.file
    if kept.is_file() and _sha256(kept.read_bytes()) == release.sha256:
        return kept
    url = f"{site}{FOLDER}{release.file}"
    content = _download(url, progress or (lambda done, total: None), by_hand)
    found = _sha256(content)
    if found != release.sha256:
        raise FlashFailed(
            f"What came from {url} is not {release.file}.",
            f"Nothing was written. Something on the way may have changed it. {by_hand}",
            f"SHA-256 {found}, expected {release.sha256}",
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(".part")
    draft.write_bytes(content)
    draft.replace(kept)
    return kept


def _download(url: str, progress: Progress, by_hand: str) -> bytes:
    """Whole or not at all."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - http(s) of our own making
            total = int(answer.headers.get("Content-Length") or 0)
            content = bytearray()
            while chunk := answer.read(CHUNK):
                content += chunk
                if len(content) > LARGEST:
                    raise FlashFailed(f"{url} is over {LARGEST:,} bytes: no MicroPython.", by_hand)
                progress(len(content), total)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FlashFailed("MicroPython could not be downloaded.", by_hand, f"{url}: {reason}") from None
    if total and len(content) != total:
        raise FlashFailed("The download of MicroPython was cut off.", f"Try again. {by_hand}", url)
    return bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("thermograph") / "micropython"
