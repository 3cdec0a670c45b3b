"""What a running device keeps in memory of its settings and of its crashes: a few facts. All else lies in small files,
and the code that reads, checks and writes them is loaded for that moment (moment.py).
"""

from .moment import let_go

_FILES = "boards.files"


class Kept:
    """make() loads and makes the whole object from its files; facts: names of its attributes, which stay here; modules:
    what make() loads, let go after each act."""

    def __init__(self, make, facts, modules):
        self._make = make
        self._facts = facts
        self._modules = modules

    def do(self, act, *args):
        """What the whole object's method `act` returns, or raises."""
        whole = self._make()
        try:
            return getattr(whole, act)(*args)
        finally:
            for fact in self._facts:
                setattr(self, fact, getattr(whole, fact))
            whole = None
            let_go(*self._modules)


def settings(board):
    """Facts: settings (that the act has brought into force, or None), error, refused, on_trial, live. Acts:
    settings_store.Store's."""

    def make():
        from .settings_store import Store

        return Store(board.files)

    return Kept(make, ("settings", "error", "refused", "on_trial", "live"), ("settings_store", "settings", _FILES))


def crashes(board):
    """Facts: newest, in_a_row. Acts: crashlog.CrashLog's."""

    def make():
        from .crashlog import CrashLog

        return CrashLog(board.files, board.clock)

    log = Kept(make, ("newest", "in_a_row"), ("crashlog", _FILES))
    log.do("read")
    return log
