"""When to send, and what: the send policy, and the window of readings between sent and freed."""

from . import reading
from .reading import Batch, Gap

_PATIENCE_LAST = 6  # times the patience of the settings
_WINDOW_FIRST, _WINDOW_LAST = 64, 1024  # readings sent and not acked
_MESSAGE_ROWS = 80  # more never fit into one message
_FAR = 500  # readings looked at to find the end of an earlier boot


class Policy:
    """Send when `every` readings wait, or the oldest waits `within` s, or a value is more than `change` from the one
    sent last; then all that waits goes."""

    def __init__(self, send, now):
        self.send = send
        self._since = now  # uptime at which the oldest that waits was kept
        self._open = False
        self._newest = {}
        self._told = {}  # by channel: the value of the last sending, for `change`

    def note(self, now, waiting, kept):
        """A reading was kept; waiting: how many were before it."""
        if not waiting:
            self._since = now
        limit = self.send.change
        if isinstance(limit, dict):
            limit = limit.get(kept.unit)
        if limit is None:
            return
        channel = (kept.sensor, kept.unit)
        self._newest[channel] = kept.value
        told = self._told.setdefault(channel, kept.value)
        if (told is None) != (kept.value is None) or (told is not None and abs(kept.value - told) > limit):
            self._open = True

    def wants(self, now, waiting):
        """Whether to send now what waits."""
        if waiting and (waiting >= self.send.every or now - self._since >= self.send.within * 1000):
            self._open = True
        return bool(waiting and self._open)

    def wait(self, now, waiting):
        """ms until the oldest has waited long enough; None if nothing waits."""
        return max(0, self._since + int(self.send.within * 1000) - now) if waiting else None

    def insist(self):
        """Send what waits without waiting for more."""
        self._open = True

    def done(self):
        """All was sent."""
        self._open = False
        self._told.update(self._newest)

    def memory(self, now):
        """What a deep sleep must not forget: [ms that the oldest waits, [[sensor, unit, value], ...]]."""
        return [now - self._since, [[channel[0], channel[1], value] for channel, value in self._told.items()]]

    def restore(self, now, memory):
        self._since = now - memory[0]
        self._told = {(name, unit): value for name, unit, value in memory[1]}
        self._newest = dict(self._told)


class Window:
    """sent: newest seq sent. It goes back to freed where no ack comes: little at first, for the backend may be asleep.

    say(text): a line for people; patience: ms; resumed: the uptime went on from the boot before, over a deep sleep."""

    def __init__(self, outbox, patience, now, say):
        self._outbox = outbox
        self._say = say
        self.patience = self._patience = patience
        self._limit = _WINDOW_LAST
        self.sent = outbox.freed
        self.progress_at = now
        self.resumed = False
        self._ended = (outbox.boot, 0)  # an earlier boot without a clock, and its uptime at its end

    @property
    def waiting(self):
        """Readings to be sent."""
        return self._outbox.last - self.sent

    @property
    def unacked(self):
        return self.sent - self._outbox.freed

    def stuck(self, now):
        """True if nothing was acked for long; then what was sent is to be sent again."""
        if self.unacked <= 0 or now - self.progress_at < self._patience:
            return False
        outbox = self._outbox
        self._say("no ack for %d ms: back to %d" % (now - self.progress_at, outbox.freed + 1))
        self.sent = outbox.freed
        self._limit = _WINDOW_FIRST
        self._patience = min(self._patience * 2, self.patience * _PATIENCE_LAST)
        self.progress_at = now
        return True

    def next_message(self, now):
        """(payload, its last seq) of the oldest that is not sent, or (None, None)."""
        outbox = self._outbox
        if self.waiting <= 0 or self.unacked >= self._limit:
            return None, None
        batch = None
        for item in outbox.peek(self.sent + 1, _MESSAGE_ROWS):
            if isinstance(item, Gap):
                if batch is None:
                    self._say("gap %d to %d %s" % (item.first, item.last, item.cause))
                    return reading.gap(outbox.stream, item), item.last
                break
            if batch is None:
                batch = Batch(outbox.stream, item)
            elif not batch.add(item):
                break
            newest = item
        return batch.encode(self._uptime(newest, now)), batch.last

    def _uptime(self, kept, now):
        """The uptime now of the boot that kept this. One that ended did so before this boot began: so it is dated
        as if this followed at once, which is the latest that it can be."""
        boot = kept.boot
        if kept.reading.quality != "none" or boot == self._outbox.boot:
            return now
        end = kept.reading.t
        if self._ended[0] == boot:
            end = max(end, self._ended[1])
        else:
            for item in self._outbox.peek(kept.seq + 1, _FAR):
                if not isinstance(item, Gap):
                    if item.boot != boot or item.reading.quality != "none":
                        break
                    end = item.reading.t
            self._ended = (boot, end)
        return now if self.resumed and end <= now else end + now

    def took(self, last, now):
        """The broker has it, up to this seq."""
        if not self.unacked:
            self.progress_at = now
        self.sent = max(self.sent, last)

    def acked(self, seq, now):
        """The backend says that it has all up to seq; less than before: it has forgotten, and is served again."""
        outbox = self._outbox
        if seq < outbox.freed:
            self._say("the backend forgot %d to %d" % (seq + 1, outbox.freed))
            self.sent = seq
        outbox.free(seq)
        self.sent = max(self.sent, seq)
        self.progress_at = now
        self._patience = self.patience
        self._limit = min(self._limit * 2, _WINDOW_LAST)
        self._say("freed to %d, kept %d" % (seq, outbox.depth))
