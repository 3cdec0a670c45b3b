"""Builds a Node from a board and settings, and runs it.

On a PC: `micropython firmware/main.py DEVICE_FOLDER` or `python firmware/main.py DEVICE_FOLDER`, with umqtt's folder
in MICROPYPATH or PYTHONPATH. Exit code 0 after SIGTERM or Ctrl-C, 2 for settings that cannot be used.

What the Node does not catch is logged, and after a while the board starts again; after five times in a row in safe
mode: a Contact, which connects and takes settings and commands, without sensors.
"""

import gc
import sys

if hasattr(gc, "threshold"):
    # Collect often, before the first import of ours: what stays then lies together, and what is free is one piece.
    gc.threshold(8192)

from thermograph.crashlog import IN_A_ROW, CrashLog, describe
from thermograph.errors import SettingsError

_PAUSE_FIRST, _PAUSE_LAST = 1000, 60000  # ms from a crash to the next start


def build(board, log=None):
    """A Node on this board. The board comes before the imports: it gives CPython the modules that umqtt needs."""
    from thermograph.node import Node
    from thermograph.outbox import Outbox

    sensors = board.sensors
    channels = [channel for sensor in sensors for channel in sensor.channels]
    outbox = Outbox(board.flash, board.entropy, channels)
    return Node(board.settings, board, board.clock, outbox, sensors, _link(board), board.store, log)


def build_safe(board, log):
    """A Contact: safe mode."""
    from thermograph.contact import Contact

    try:
        from thermograph.outbox import Outbox

        outbox = Outbox(board.flash, board.entropy, [])
    except Exception as error:
        log.note(describe(error))
        outbox = None
    return Contact(board.settings, board, board.clock, outbox, _link(board), board.store, log)


def _link(board):
    from thermograph.link import Link

    settings = board.settings

    def link(on_wait, on_message):
        timeout = int(settings.broker.timeout * 1000)
        return Link(board.network, board.clock, settings.broker, settings.device, on_wait, on_message, timeout)

    return link


def start(board):
    """Run the board until somebody ends it: the exit code. Whatever else ends it leads to board.restart()."""
    if board.settings is None:
        board.setup(lambda: _PAUSE_FIRST)
        board.restart()
    log = CrashLog(board.files, board.clock)
    try:
        if board.health().get("reset") == "watchdog":
            log.crash("the watchdog ended it")
        safe = log.in_a_row >= IN_A_ROW
        _run(board, build_safe(board, log) if safe else build(board, log))
    except SettingsError as error:
        board.say("settings: %s" % error)
        if not board.store.roll_back(str(error)):
            return 2
        board.restart()
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        return _crashed(board, log, error)


def _run(board, node):
    if board.settings.battery and hasattr(board, "sleep"):
        from thermograph.boards.power import run

        run(board, node)
    else:
        node.run()


def _crashed(board, log, error):
    log.crash(describe(error))
    board.say("crash %d in a row: %s" % (log.in_a_row, log.newest["text"]))
    left = min(_PAUSE_FIRST << min(log.in_a_row - 1, 16), _PAUSE_LAST)
    try:
        while left > 0:
            board.watch()
            board.feed()
            board.pause(min(left, 100))
            left -= 100
    except KeyboardInterrupt:
        return 0
    board.restart()


def main(arguments):
    """The exit code."""
    from thermograph.boards.unix import Unix

    if len(arguments) != 2:
        print("usage: main.py DEVICE_FOLDER")
        return 2
    try:
        return start(Unix(arguments[1]))
    except SettingsError as error:
        print("settings: %s" % error)
        return 2


if __name__ == "__main__":
    if sys.platform == "esp32":
        from thermograph.boards.esp32 import Esp32

        start(Esp32())  # no sys.exit: it would begin again at once, and Ctrl-C would never reach the prompt
    else:
        sys.exit(main(sys.argv))
