"""Node: sample, keep, send, free. It knows no board: all it needs is handed to it."""

from . import VERSION, reading
from .errors import FlashError, LinkError
from .reading import Batch, Gap, Reading

_RETRY_FIRST, _RETRY_LAST = 1000, 60000  # ms between two attempts to connect
_PATIENCE_LAST = 6  # times the patience of the settings
_WINDOW_FIRST, _WINDOW_LAST = 64, 1024  # readings sent and not acked
_MESSAGE_ROWS = 80  # more never fit into one message
_FULL_MESSAGE = 32  # readings that are worth a message whatever send_every says
_ACK_WAIT = 300  # ms after subscribing in which the retained ack comes; without it too much is sent, nothing lost
_IDLE = 100  # ms
_GOODBYE = 2000  # ms


class Node:
    """settings; clock; outbox; sensors: drivers with channels and read(); link(on_wait, on_message) builds the Link.

    board: pause(ms), watch(), called often, which may raise KeyboardInterrupt to end, random() in [0, 1),
    health(), and say(text), one line for people."""

    def __init__(self, settings, board, clock, outbox, sensors, link):
        self._settings = settings
        self._board = board
        self._clock = clock
        self._outbox = outbox
        self._sensors = sensors
        self._link = link(self.tick, self._on_message)
        self._topic = "thermograph/v1/%s/" % settings.device
        self._link.set_last_will((self._topic + "status").encode(), b"offline", retain=True, qos=1)
        self._interval = max(1, int(settings.interval * 1000))
        start = clock.uptime()
        self._sample_at = self._retry_at = self._state_at = self._send_at = start
        self._retry = _RETRY_FIRST
        self._patience_first = self._patience = int(settings.patience * 1000)
        self._progress_at = start
        self._window = _WINDOW_LAST
        self._sent = outbox.freed

    def run(self):
        """Until KeyboardInterrupt."""
        self._say("boot %d stream %s holds %d to %d, freed to %d" % (
            self._outbox.boot, self._outbox.stream, self._outbox.first, self._outbox.last, self._outbox.freed))
        try:
            while True:
                self.step()
        finally:
            self.close()

    def step(self):
        """One turn of the loop: a wait of at most _IDLE ms, or one message."""
        spare = self.tick()
        try:
            if self._link.connected:
                self._serve()
            elif self._clock.uptime() >= self._retry_at:
                self._connect()
            else:
                self._board.pause(min(spare, _IDLE))
        except LinkError as error:
            self._lose(error)

    def close(self):
        """Say goodbye if there is somebody to hear it; the last will speaks otherwise."""
        self._link.timeout = _GOODBYE
        try:
            if self._link.connected:
                self._publish("status", b"offline", retain=True)
                self._link.disconnect()
        except LinkError:
            pass

    # -- sampling

    def tick(self):
        """Sample if it is time; the ms until it is again. The Link calls this too, while it waits."""
        self._board.watch()
        now = self._clock.uptime()
        if now >= self._sample_at:
            # Whole intervals from the first sample on: late is late, missed is missed, and nothing drifts.
            self._sample_at += ((now - self._sample_at) // self._interval + 1) * self._interval
            self._sample()
            now = self._clock.uptime()
        return max(0, self._sample_at - now)

    def _sample(self):
        for sensor in self._sensors:
            t, quality = self._clock.now()
            for (name, unit), (value, fault) in zip(sensor.channels, sensor.read()):
                if fault is None and not -1e30 < value < 1e30:  # NaN is not between anything
                    value, fault = None, "out-of-range"
                try:
                    seq = self._outbox.append(Reading(t, quality, name, unit, value, fault))
                except FlashError as error:
                    self._say("lost %s %s: %s" % (name, unit, error))
                    continue
                shown = reading.shortest(value) if fault is None else "fault:" + fault
                self._say("sample %s %s %s seq %d" % (name, shown, unit, seq))

    # -- sending

    def _connect(self):
        self._link.connect()
        self._link.subscribe(self._topic + "ack")
        self._publish("status", b"online", retain=True)
        self._say("connected to %s:%d" % (self._settings.broker.host, self._settings.broker.port))
        self._retry = _RETRY_FIRST
        self._state_at = self._progress_at = self._clock.uptime()
        self._link.listen(_ACK_WAIT)

    def _lose(self, error):
        self._link.drop()
        delay = int(self._retry * (0.5 + self._board.random()))
        self._retry = min(self._retry * 2, _RETRY_LAST)
        self._retry_at = self._clock.uptime() + delay
        self._say("link lost: %s; again in %d ms" % (error, delay))

    def _serve(self):
        now = self._clock.uptime()
        if now >= self._state_at:
            self._state_at = now + int(self._settings.state_every * 1000)
            self._publish("state", self._state(), retain=True)
        self._go_back_if_stuck(now)
        message, last = self._next_message(now)
        if message is None:
            self._link.listen(_IDLE)
            return
        self._publish("telemetry", message)
        self._sent = max(self._sent, last)
        self._send_at = now + int(self._settings.send_every * 1000)

    def _next_message(self, now):
        """(payload, its last seq) of the oldest that is not sent, or (None, None) if nothing is to be sent now."""
        outbox = self._outbox
        waiting = outbox.last - self._sent
        if waiting <= 0 or self._sent - outbox.freed >= self._window:
            return None, None
        if now < self._send_at and waiting < _FULL_MESSAGE:
            return None, None
        batch = None
        for item in outbox.peek(self._sent + 1, _MESSAGE_ROWS):
            if isinstance(item, Gap):
                if batch is None:
                    self._say("gap %d to %d %s" % (item.first, item.last, item.cause))
                    return reading.gap(outbox.stream, item), item.last
                break
            if batch is None:
                batch = Batch(outbox.stream, item)
            elif not batch.add(item):
                break
        return batch.encode(now), batch.last

    def _go_back_if_stuck(self, now):
        """The broker or the backend may have lost what was sent. At first little is sent again: it may be asleep."""
        if self._sent <= self._outbox.freed or now - self._progress_at < self._patience:
            return
        self._say("no ack for %d ms: back to %d" % (now - self._progress_at, self._outbox.freed + 1))
        self._sent = self._outbox.freed
        self._window = _WINDOW_FIRST
        self._patience = min(self._patience * 2, self._patience_first * _PATIENCE_LAST)
        self._progress_at = now

    def _publish(self, leaf, payload, retain=False):
        self._link.publish(self._topic + leaf, payload, retain, 1)

    def _state(self):
        outbox = self._outbox
        health = self._board.health()
        health["uptime"] = self._clock.uptime() // 1000
        held = {"depth": outbox.depth, "capacity": outbox.capacity}
        return reading.state(outbox.stream, outbox.last, VERSION, health, held, self._settings.revision)

    # -- freeing

    def _on_message(self, topic, payload):
        if topic != (self._topic + "ack").encode():
            return
        outbox = self._outbox
        ack = reading.ack(payload)
        if ack is None:
            self._say("ignored: an ack that is none")
        elif ack[0] != outbox.stream:
            self._say("ignored: an ack of stream %s" % ack[0])
        elif ack[1] > outbox.last:
            self._say("ignored: an ack of seq %d, newest is %d" % (ack[1], outbox.last))
        elif ack[1] != outbox.freed:
            self._free(ack[1])

    def _free(self, seq):
        outbox = self._outbox
        if seq < outbox.freed:
            self._say("the backend forgot %d to %d" % (seq + 1, outbox.freed))
            self._sent = seq
        outbox.free(seq)
        self._sent = max(self._sent, seq)
        self._progress_at = self._clock.uptime()
        self._patience = self._patience_first
        self._window = min(self._window * 2, _WINDOW_LAST)
        self._say("freed to %d, kept %d" % (seq, outbox.depth))

    def _say(self, text):
        self._board.say("%s %s" % (self._clock.text(), text))
