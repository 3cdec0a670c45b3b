"""The empty interpreter that the heap's figures start from; the first that a measuring run imports, on MicroPython.

All names that may come are made before anything is counted: `names` beside this file has one a line, as JSON. A name is
made once and for good, in pools that double (20, 40, ... 1280 entries of 7 bytes), so it would be chance whether the
firmware or a fake pays for the next pool. What the firmware's own names cost is measured alone (heap_rig.py).
"""

import gc
import json
import sys

HERE = __file__.rsplit("/", 1)[0]


def make_names(path):
    with open(path) as file:
        for line in file:
            hasattr(sys, json.loads(line))  # to ask for a name is to make it


gc.collect()
ALONE = gc.mem_alloc()
make_names(HERE + "/names")
gc.collect()
EMPTY = gc.mem_alloc()
