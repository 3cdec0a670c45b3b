"""python -m tools tcp-send: the smallest client of the gateway. It opens a socket, writes lines, reads answers."""

import secrets
import socket
import time

import click

from backend.errors import BrokerUnavailable, MessageRejected, SettingsError

PATIENCE = 10.0  # s for an answer
TRIES = 3


@click.command()
@click.argument("address", metavar="HOST:PORT")
@click.argument("readings", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.option(
    "--unit", default="", help="Unit of the values, such as C, F, hPa, %; without it, what is usual for the name."
)
@click.option("--device", default="", help="Who the sensor is; without it, the gateway goes by this machine's address.")
@click.option("--tries", default=TRIES, show_default=True, help="How often to send when no answer comes.")
def tcp_send(address: str, readings: tuple[str, ...], unit: str, device: str, tries: int) -> None:
    """Send readings to a gateway over plain TCP, and show the conversation.

    Each has an id of its own: where no answer came it is sent again with the same one, and the gateway keeps it once.

    \b
    python -m tools tcp-send 127.0.0.1:7007 temperature=21.4
    python -m tools tcp-send 127.0.0.1:7007 temperature=70.5 --unit F --device greenhouse-2
    """
    lines = [_line(one, unit, device) for one in readings]
    for number in range(tries):
        try:
            answers = converse(_address(address), lines)
            break
        except OSError as error:
            if number == tries - 1:
                raise BrokerUnavailable(
                    f"The gateway at {address} gave no answer: {error}.",
                    "Is `python -m backend gateway` running there?",
                ) from None
            time.sleep(1)
    else:
        answers = []
    for line, answer in zip(lines, answers, strict=False):
        click.echo(f"> {line}\n< {answer}")
    if refused := [answer for answer in answers if not answer.startswith("ok ")]:
        raise MessageRejected(f"{len(refused)} of {len(lines)} were not taken.")


def converse(address: tuple[str, int], lines: list[str]) -> list[str]:
    """Write the lines, read an answer for each. Raises OSError when an answer does not come."""
    answers = []
    with socket.create_connection(address, PATIENCE) as connection, connection.makefile("rw", encoding="utf-8") as talk:
        for line in lines:
            talk.write(f"{line}\n")
            talk.flush()
            answer = talk.readline()
            if not answer.endswith("\n"):
                raise ConnectionResetError("it closed the connection")
            answers.append(answer.strip())
            if answer.startswith("error busy"):
                raise ConnectionRefusedError(answer.strip())
    return answers


def _line(reading: str, unit: str, device: str) -> str:
    name, equals, value = reading.partition("=")
    if not (name and equals and value):
        raise click.BadParameter(f"{reading!r} is not NAME=VALUE", param_hint="NAME=VALUE")
    who = f"{device}/" if device else ""
    fields = [f"{who}{name}", value, *([unit] if unit else [])]
    line = f"{','.join(fields)} #{secrets.token_hex(4)}"
    if not line.isprintable():
        raise click.BadParameter("a reading is one line of text", param_hint="NAME=VALUE")
    return line


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"{given!r} is no address.", "It takes HOST:PORT, such as 127.0.0.1:7007.")
    return host.strip("[]"), int(port)
