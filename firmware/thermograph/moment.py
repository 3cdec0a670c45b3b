"""Modules for a moment: loaded for what comes seldom, let go when it is done. An ESP32 has no room for all at once.

What is let go stays for whoever still holds something of it, and is loaded anew by the next import. A module that is
loaded for a moment keeps nothing in itself: what has to outlast it is its caller's.
"""

import gc
import sys


def let_go(*names):
    """Forget modules of this package, such as "sntp" or "sensors.scan", and collect: so a caller sets its own names of
    what they hold to None first. CPython keeps them: it has the memory."""
    if sys.implementation.name != "micropython":
        return
    package = __name__.rsplit(".", 1)[0]
    for name in names:
        whole = "%s.%s" % (package, name)
        if sys.modules.pop(whole, None) is not None:
            parent, leaf = whole.rsplit(".", 1)
            if parent in sys.modules:
                delattr(sys.modules[parent], leaf)
    gc.collect()
