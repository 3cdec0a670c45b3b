"""Which port the board is on: pyserial's list, of which those with a USB id count."""

from collections.abc import Callable, Sequence
from typing import Protocol

from .errors import PortFailed

CABLE = "Some USB cables only charge: try another. Windows and macOS may need the CP210x or CH34x driver."
# pyserial's own URLs. Behind one is no USB port whose lines could start a ROM loader.
SCHEMES = ("socket://", "rfc2217://", "loop://", "spy://", "alt://", "hwgrep://", "cp2110://")


class Port(Protocol):
    """As serial.tools.list_ports gives it."""

    device: str
    description: str
    vid: int | None


def has_rom_loader(address: str) -> bool:
    """False behind a socket or a pseudo-terminal: an emulator, Wokwi, a board on another machine."""
    return not address.startswith((*SCHEMES, "/dev/pts/", "/dev/ttyp"))


def choose(ports: Sequence[Port], ask: Callable[[list[Port]], Port] | None) -> str:
    """The address of the only board, or of the one that the person names. ask: None where nobody can be asked.

    Raises PortFailed.
    """
    boards = [port for port in ports if port.vid is not None]
    names = ", ".join(port.device for port in ports) or "no serial port at all"
    if not boards:
        raise PortFailed("No board is connected: no serial port has a USB id.", f"Plug it in. {CABLE}", names)
    if len(boards) == 1:
        return boards[0].device
    if ask is None:
        found = ", ".join(f"{port.device} ({port.description})" for port in boards)
        raise PortFailed("There are several boards.", "Say which one: --port ADDRESS.", found)
    return ask(boards).device


def connected() -> list[Port]:
    from serial.tools import list_ports

    return sorted(list_ports.comports(), key=lambda port: port.device)


def check(address: str) -> None:
    """Open it and close it again. Raises PortFailed, with the system's own reason."""
    import serial

    try:
        serial.serial_for_url(address, exclusive=True).close()
    except (OSError, ValueError) as error:
        raise PortFailed(f"{address} cannot be opened.", _advice(error, address), str(error)) from None


def _advice(error: Exception, address: str) -> str:
    text = str(error).lower()
    if "permission" in text or "access is denied" in text:
        return f"Linux: sudo usermod -a -G dialout $USER, then sign in again. Else another program has {address} open."
    if "busy" in text or "exclusively" in text or "temporarily unavailable" in text:
        return "Another program has it open: close its monitor, Thonny, screen or mpremote."
    if "://" in address:
        return "Start the emulator or the server that shows the board there, and look at its port."
    return f"Is it plugged in? {CABLE}"
