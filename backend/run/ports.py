"""Ports: is one free, and if not, who has it."""

import dataclasses
import os
import socket
from collections.abc import Iterable
from contextlib import suppress

from ..errors import PortBusy

HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Port:
    """number; purpose: what will listen there; option: the command line's name for it; width: ports it takes."""

    number: int
    purpose: str
    option: str
    width: int = 1

    @property
    def numbers(self) -> range:
        return range(self.number, self.number + self.width)


def check(ports: Iterable[Port]) -> None:
    """Raises PortBusy, naming the owner and the option that chooses another port."""
    ports = list(ports)
    claims: dict[int, Port] = {}
    for port in ports:
        if port.numbers[-1] > 65535:
            raise PortBusy(f"{port.option} {port.number} reaches beyond port 65535.", "Choose a lower one.")
        for number in port.numbers:
            if number in claims:
                other = claims[number]
                raise PortBusy(f"{port.option} and {other.option} both claim port {number}.", "Move one of them.")
            claims[number] = port
    for number, port in claims.items():
        if not _is_free(number):
            raise _busy(number, port, claims)


def _busy(number: int, port: Port, claims: Iterable[int]) -> PortBusy:
    taken = set(claims)
    other = next(
        (first for first in range(number + 1, 65536 - port.width) if _block_is_free(first, port.width, taken)), None
    )
    choice = f"{port.option} {other}" if other else port.option
    return PortBusy(
        f"Port {number}, for {port.purpose}, is taken by {owner(number)}.",
        f'Stop that, or choose another: make run ARGS="{choice}" (python -m backend run {choice})',
    )


def _block_is_free(first: int, width: int, taken: set[int]) -> bool:
    return all(number not in taken and _is_free(number) for number in range(first, first + width))


def _is_free(number: int) -> bool:
    # macOS and Windows let a narrower address bind beside a server on 0.0.0.0: so somebody answering counts as well.
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, number)) == 0:
            return False
    with socket.socket() as probe:
        if os.name == "posix":
            # Without it, connections of the last run that wait out their time would count as an owner.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True


def owner(number: int) -> str:
    """Who has it, for people: a server's process first, else whoever's connection happens to use that port."""
    import psutil

    try:
        users = [user for user in psutil.net_connections("tcp") if user.laddr and user.laddr.port == number]
    except psutil.Error:
        return "another process (its name needs administrator rights)"
    for user in sorted(users, key=lambda user: user.status != psutil.CONN_LISTEN):
        if user.pid is not None:
            with suppress(psutil.Error):
                return f"{psutil.Process(user.pid).name()} (pid {user.pid})"
    return "a process that this user may not see"
