"""`micropython run_link.py FIRMWARE_FOLDER PORT SCENARIO`, options as JSON on stdin: a trial of checks_link.py."""

import sys

sys.path.insert(0, sys.argv[1])
import checks_link

checks_link.run(int(sys.argv[2]), sys.argv[3], sys.stdin.read())  # MicroPython's arguments end at 255 bytes
