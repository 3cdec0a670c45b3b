"""`micropython run_fuzz.py FIRMWARE_FOLDER SEED COUNT` prints the bytes it grew by. What escapes raises: exit code
1."""

import sys

sys.path.insert(0, sys.argv[1])
import fuzz
import fuzz_parsers

count = int(sys.argv[3])
print(fuzz.run_and_weigh(fuzz_parsers.parsers(), int(sys.argv[2]), 0, count, count // 2)[1])
