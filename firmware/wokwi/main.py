"""The main.py of a project on wokwi.com, which takes files of text only, in one folder.

`python -m tools wokwi --project FOLDER` makes them: thermograph.txt is thermograph.pack in base64, start.py the
firmware's own main.py. Wokwi gives the board a fresh copy of all at each start, so unpacking comes first each time: a
line of text at a time, for the heap is small. Then start.py runs as if it were this file, without its text in memory.
"""

import binascii
import os


def unpack():
    """thermograph.txt -> thermograph.pack, whole or not at all."""
    with open("thermograph.txt") as text, open("thermograph.new", "wb") as pack:
        for line in text:
            pack.write(binascii.a2b_base64(line))
    os.rename("thermograph.new", "thermograph.pack")


if __name__ == "__main__":
    if "thermograph.pack" not in os.listdir():
        print("unpacking the firmware ...")
        unpack()
    execfile("start.py")  # noqa: F821  MicroPython's
