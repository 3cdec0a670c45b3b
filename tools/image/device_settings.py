"""Settings for a board, checked by the firmware itself before they are put on it."""

import subprocess
import sys
from pathlib import Path

from backend.errors import SettingsError

# In a process of its own: the firmware's modules are not this program's. The text goes by the pipe: it holds secrets.
_CHECK = """
import sys
from thermograph import settings
from thermograph.errors import SettingsError
try:
    settings.load(sys.stdin.read())
except SettingsError as error:
    sys.exit(str(error))
"""


def read(path: Path, firmware: Path) -> bytes:
    """The bytes of a settings.json that the firmware takes. SettingsError names the field, never its value."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no text in UTF-8.") from None
    command = [sys.executable, "-B", "-c", _CHECK]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=False, cwd=firmware)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["refused"])[-1]
        raise SettingsError(f"{path}: {why}", "firmware/README.md has a table of all settings.")
    return text.encode("utf-8")
