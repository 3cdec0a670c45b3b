"""Builds a Node from a board and settings, and runs it.

On a PC: `micropython firmware/main.py DEVICE_FOLDER` or `python firmware/main.py DEVICE_FOLDER`, with umqtt's folder
in MICROPYPATH or PYTHONPATH. Exit code 0 after SIGTERM or Ctrl-C, 2 for settings that cannot be used.
"""

import sys

from thermograph.errors import SettingsError


def build(board):
    """A Node on this board. The board comes before the imports: it gives CPython the modules that umqtt needs."""
    from thermograph.link import Link
    from thermograph.node import Node
    from thermograph.outbox import Outbox

    settings = board.settings
    channels = [channel for sensor in board.sensors for channel in sensor.channels]
    outbox = Outbox(board.flash, board.entropy, channels)

    def link(on_wait, on_message):
        timeout = int(settings.broker.timeout * 1000)
        return Link(board.network, board.clock, settings.broker, settings.device, on_wait, on_message, timeout)

    return Node(settings, board, board.clock, outbox, board.sensors, link)


def main(arguments):
    """The exit code."""
    from thermograph.boards.unix import Unix

    if len(arguments) != 2:
        print("usage: main.py DEVICE_FOLDER")
        return 2
    try:
        build(Unix(arguments[1])).run()
    except SettingsError as error:
        print("settings: %s" % error)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
