"""The newest exceptions, kept over restarts: a ring of a few in one small file, and how many came in a row."""

import io
import json
import sys

FILE = "crashes.json"
IN_A_ROW = 5  # then safe mode
_KEPT = 8
_TEXT = 240  # characters of one


class CrashLog:
    """files: read and write; clock: now(). in_a_row: crashes since the last calm()."""

    def __init__(self, files, clock):
        self._files = files
        self._clock = clock
        self._entries = []
        self.in_a_row = 0
        self._read()

    @property
    def newest(self):
        """{t, tq, text} or None."""
        return self._entries[-1] if self._entries else None

    def read(self):
        """What the file holds: to be made is to read it."""

    @property
    def entries(self):
        return list(self._entries)

    def crash(self, text):
        """The Node ended by this."""
        self.in_a_row += 1
        self._add(text)

    def note(self, text):
        """Something raised, and the Node went on. What repeats is written once."""
        if not self._entries or self._entries[-1]["text"] != text:
            self._add(text)

    def calm(self, in_a_row=0):
        """It runs well: what comes next is not in a row with what was."""
        if self.in_a_row != in_a_row:
            self.in_a_row = in_a_row
            self._write()

    def _add(self, text):
        t, quality = self._clock.now()
        self._entries.append({"t": t, "tq": quality, "text": text})
        del self._entries[:-_KEPT]
        self._write()

    def _write(self):
        try:
            self._files.write(FILE, json.dumps({"in_a_row": self.in_a_row, "entries": self._entries}))
        except OSError:
            pass  # a full or broken disk must not be one more crash

    def _read(self):
        try:
            kept = json.loads(self._files.read(FILE) or "{}")
            self._entries = [entry for entry in kept["entries"] if _is_entry(entry)][-_KEPT:]
            self.in_a_row = max(0, int(kept["in_a_row"]))
        except (ValueError, TypeError, KeyError, RuntimeError, OverflowError):  # int(1e999)
            pass  # no log, or none that can be read


def _is_entry(entry):
    return isinstance(entry, dict) and type(entry.get("t")) is int and isinstance(entry.get("text"), str)


def describe(error):
    """The exception and the last places it came through, in at most _TEXT characters of one line."""
    if hasattr(sys, "print_exception"):
        out = io.StringIO()
        sys.print_exception(error, out)
        lines = out.getvalue().strip().split("\n")
    else:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        lines = [""]
        for frame in frames:
            lines.append('  File "%s", line %d, in %s' % (frame.filename, frame.lineno, frame.name))
        lines.append("%s: %s" % (type(error).__name__, error))
    places = [_place(line) for line in lines[1:-1][-3:]]
    return ("%s (%s)" % (lines[-1], " < ".join(reversed(places))))[:_TEXT]


def _place(line):
    """`  File "a/b/node.py", line 9, in tick` as node.py:9."""
    parts = line.strip().split('"')
    if len(parts) < 3:
        return line.strip()
    return "%s:%s" % (parts[1].split("/")[-1], parts[2].split(",")[1].split()[-1])
