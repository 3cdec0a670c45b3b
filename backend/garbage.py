"""How often Python searches for garbage in cycles: its default, every 700 objects, is for programs that make few."""

import gc


def collect_rarely(objects: int) -> None:
    """Search every so many new objects, and never again among those that are there by now: modules, classes, SQL."""
    gc.freeze()
    gc.set_threshold(objects, 10, 10)
