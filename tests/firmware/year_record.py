"""Which years have been lived, kept in a file: a night's run that was cut off goes on where it was."""

import hashlib
import pathlib

ROOT = pathlib.Path(__file__).parent.parent.parent
# What a year's outcome depends on. A record of other code, or of years of another length, is begun anew.
CODE = ("firmware/thermograph/*.py", "tests/firmware/year*.py", "tests/firmware/virtual.py", "tests/firmware/nor.py")
CODE += ("backend/coverage.py", "backend/reading.py")


class Record:
    """kept: the seeds whose year kept the promise. path: the file, or None for no record."""

    def __init__(self, path, days):
        self._path = path
        self.kept = set()
        if path is None:
            return
        head = f"{days} days, code {fingerprint()}"
        lines = path.read_text().splitlines() if path.exists() else []
        if lines[:1] == [head]:
            self.kept = {int(line) for line in lines[1:] if line.isdecimal()}
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n")

    def add(self, seed):
        self.kept.add(seed)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(f"{seed}\n")

    def close(self):
        """All is done: the next run begins anew."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def fingerprint():
    """16 hex digits of the code."""
    sha = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            sha.update(path.read_bytes())
    return sha.hexdigest()[:16]
