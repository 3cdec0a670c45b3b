"""What a start builds: a Node from a board and its settings; after five crashes in a row a Contact, which connects and
takes settings and commands, without sensors. And what a crash leads to. For a moment: main.py lets it go.
"""

from . import kept
from .crashlog import IN_A_ROW, describe
from .errors import SettingsError

_PAUSE_FIRST, _PAUSE_LAST = 1000, 60000  # ms from a crash to the next start


def prepare(board):
    """What is to be run on this board. A blank board is set up first, and starts again."""
    if board.settings is None:
        board.setup(lambda: _PAUSE_FIRST)
        board.restart()
    log = kept.crashes(board)
    if board.health().get("reset") == "watchdog":
        log.do("crash", "the watchdog ended it")
    node = build_safe(board, log) if log.in_a_row >= IN_A_ROW else build(board, log)
    if board.settings.battery and not node.safe and hasattr(board, "slept"):
        from .boards.power import Sleeper

        return Sleeper(board, node)
    return node


def build(board, log):
    """A Node. The board comes before the imports: it gives CPython the modules that umqtt needs."""
    from .outbox import Outbox

    if board.settings.battery:
        from .saving import SavingNode as Node
    else:
        from .node import Node
    sensors = board.sensors
    channels = [channel for sensor in sensors for channel in sensor.channels]
    outbox = Outbox(board.flash, board.entropy, channels)
    return Node(board.settings, board, board.clock, outbox, sensors, _link(board), board.store, log)


def build_safe(board, log):
    """A Contact: safe mode."""
    from .contact import Contact

    try:
        from .outbox import Outbox

        outbox = Outbox(board.flash, board.entropy, [])
    except Exception as error:
        log.do("note", describe(error))
        outbox = None
    return Contact(board.settings, board, board.clock, outbox, _link(board), board.store, log)


def _link(board):
    """link(on_wait, on_message) makes the Link."""
    from .link import Link

    settings = board.settings

    def link(on_wait, on_message):
        timeout = int(settings.broker.timeout * 1000)
        return Link(board.network, board.clock, settings.broker, settings.device, on_wait, on_message, timeout)

    return link


def ended(board, error):
    """The exit code, after what nothing caught; or another start."""
    if isinstance(error, SettingsError):
        board.say("settings: %s" % error)
        if not board.store.do("roll_back", str(error)):
            return 2
        board.restart()
    log = kept.crashes(board)
    log.do("crash", describe(error))
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
