"""Battery: deep sleep between samples. What must outlive it cheaply is in RTC memory; readings are on flash.

A wake is a boot: it mounts the Outbox, samples, sends if the send policy says so, and sleeps.
"""

import machine
import network

from .rtc_memory import remember

_SHORTEST = 500  # ms; a wake costs more than such a sleep saves
_LONGEST = 86400000
_RADIO = 3000  # ms to wait for the radio to be off
_LATE = 5000  # ms that a wake's boot may take


class Sleeper:
    """A Node that sleeps between its samples. board: an Esp32."""

    def __init__(self, board, node):
        self._board = board
        self._node = node

    def run(self):
        """Until KeyboardInterrupt; a sleep does not return, for a wake is a boot."""
        board, node = self._board, self._node
        if board.memory:
            node.restore(board.memory, board.slept())
        woken, interval = board.clock.uptime(), board.settings.interval * 1000
        try:
            while True:
                node.step()
                if woken is not None and board.clock.uptime() - woken + board.late > interval:
                    text = "%s a wake takes longer than the interval of %d s: no sleep"
                    board.say(text % (board.clock.text(), interval // 1000))
                    woken = None
                spare = min(node.rest(), _LONGEST)
                if spare >= _SHORTEST and not board.busy():
                    node.close()
                    sleep(board, spare, node.memory())
        finally:
            node.close()


def sleep(board, ms, memory):
    """Radio off, then deep sleep, to be awake in time for what is due in ms. memory: the Node's."""
    if board.radio is not None:
        board.radio.off()
    _radio_off(board)
    board.panel.wake_by_button()
    late = board.late
    if board.woke_late is not None:
        late = min(max(0, (3 * late + board.woke_late) // 4 if late else board.woke_late), _LATE)
    ms = max(1, int(ms) - late)
    remember(board, memory, late, ms)
    machine.deepsleep(ms)


def _radio_off(board):
    """A sleep with Wi-Fi on may hang (1 in 9 on an emulated board); active(False) returns before it is off."""
    station = network.WLAN(network.STA_IF)
    if station.active():
        station.active(False)
    for _ in range(_RADIO // 10):
        if not station.active():
            return
        board.pause(10)
