"""A board's small files: read whole, written whole or not at all, whenever the power goes."""

import os


class Files:
    """sync(file): what is written is on the disk when it returns."""

    def __init__(self, folder, sync, system=os, opener=open):
        self._folder = folder
        self._sync = sync
        self._system = system
        self._open = opener

    def read(self, name):
        """The text, or None if there is no such file, or none that can be read."""
        try:
            with self._open(self._path(name), encoding="utf-8") as file:
                return file.read()
        except (OSError, ValueError):  # ValueError: its bytes are no text
            return None

    def write(self, name, text):
        """Replace the file: until the rename the old one is there, from then on the new. OSError if it cannot be."""
        path = self._path(name)
        with self._open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
            self._sync(file)
        self._system.rename(path + ".new", path)

    def remove(self, name):
        try:
            self._system.remove(self._path(name))
        except OSError:
            pass  # it is gone

    def _path(self, name):
        return self._folder + "/" + name
