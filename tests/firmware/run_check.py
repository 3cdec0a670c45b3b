"""Runs one check: `micropython run_check.py FIRMWARE_FOLDER MODULE CHECK [NUMBER...]`. A failed one raises: exit code
1."""

import sys

sys.path.insert(0, sys.argv[1])
if sys.implementation.name != "micropython":
    from thermograph.boards import cpython

    cpython.install()
getattr(__import__(sys.argv[2]), sys.argv[3])(*[int(number) for number in sys.argv[4:]])
