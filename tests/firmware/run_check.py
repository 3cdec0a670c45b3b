"""Runs one check: `micropython run_check.py FIRMWARE_FOLDER MODULE CHECK`. A failed one raises: exit code 1."""

import sys

sys.path.insert(0, sys.argv[1])
getattr(__import__(sys.argv[2]), sys.argv[3])()
