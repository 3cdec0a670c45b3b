"""A database for each test, with all its tables: a copy of one of its kind that was migrated once.

A migration costs more processor than most of the tests that need its tables.
"""

import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.database import Database

PATTERN = "pattern"  # the name of a database that has all tables and no rows


class Databases:
    """server(kind) is the running server of a kind, PostgreSQL or MariaDB, for who asks for it first."""

    def __init__(self, folder: Path, server: Callable[[str], Any]) -> None:
        self._folder = folder
        self._server = server
        self._patterns: set[str] = set()
        self._copying = threading.Lock()  # PostgreSQL copies for one at a time

    def empty(self, kind: str, folder: Path) -> str:
        """The URL of one without tables; that of SQLite in this folder. kind: sqlite, postgresql or mariadb."""
        if kind == "sqlite":
            return f"sqlite:///{folder}/thermograph.db"
        return self._server(kind).new_database(f"test_{uuid.uuid4().hex}")

    def migrated(self, kind: str, folder: Path) -> str:
        """The URL of one with all tables and no rows."""
        self.prepare(kind)
        if kind == "sqlite":
            shutil.copy(self._folder / f"{PATTERN}.db", folder / "thermograph.db")
            return self.empty(kind, folder)
        with self._copying:
            return self._server(kind).new_database(f"test_{uuid.uuid4().hex}", like=PATTERN)

    def prepare(self, kind: str) -> None:
        """Make what migrated() copies, unless it is there."""
        if kind in self._patterns:
            return
        url = f"sqlite:///{self._folder}/{PATTERN}.db"
        if kind != "sqlite":
            url = self._server(kind).new_database(PATTERN)
        pattern = Database(url)
        pattern.migrate()
        pattern.close()
        self._patterns.add(kind)
