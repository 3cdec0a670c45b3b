# ruff: noqa: F821, S102 - board_disk.py gives it flash, Flash and sys; main.py runs as a board runs it
"""What a start and a reading cost, counted: `micropython board_disk.py FLASH FAKES flash_cost.py WHAT [OUTBOX]`.

WHAT: "load", all modules of such a start; "start", from reset to the first sample, and what TLS loads; "readings".
OUTBOX: a file that is the partition of that name; without it the board has MicroPython's own partitions. Prints
[reads, programs, erases] as one line of JSON: for "readings" of each, for "start" of files and of the partition.
"""

MOUNTED = flash.reads

import builtins  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

import chip  # noqa: E402
import esp32  # noqa: E402

from sensor_buses import Thermometer, Wire, rom_of  # noqa: E402

flash.reads = MOUNTED  # what these imports looked for on littlefs is no part of a start
WHAT, OUTBOX = sys.argv[4], sys.argv[5:]
PROBE = "28ff641e8216c3"
READINGS = 600  # more than two sectors of the ring
partition = Flash("/host" + OUTBOX[0]) if OUTBOX else None
esp32.Partition.find = lambda kind, label=None: [partition] if partition and label == "outbox" else []
say = builtins.print


class Uptime:
    @property
    def now(self):
        return chip.now.ms()


def counts(devices=(flash, partition)):
    return [sum([getattr(one, name) for one in devices if one]) for name in ("reads", "programs", "erases")]


def until_the_first_sample():
    """main.py, as it runs after a reset. Ctrl-C ends it."""
    chip.now.wires[4] = Wire(Thermometer(Uptime(), rom_of(PROBE)))
    chip.now.air = [(b"Home", "goat cheese", -61)]
    heard = []

    def hear(text):
        heard.append(text)
        if " sample " in text:
            raise KeyboardInterrupt

    builtins.print = hear
    try:
        with open("/main.py") as source:
            program = source.read()
        exec(program, {"__name__": "__main__"})
    finally:
        builtins.print = say
    assert " sample " in heard[-1], heard
    import umqtt.simple  # noqa: F401  a connection with TLS loads these, and a first start asks for the time


def appends(outbox_flash):
    """[[reads, programs, erases] of each reading] on this flash, in an Outbox that was used before."""
    from thermograph.outbox import Outbox
    from thermograph.reading import Reading

    outbox = Outbox(outbox_flash, os.urandom, [("28ff641e8216c328", "Cel")])
    found = []
    for number in range(READINGS):
        before = counts()
        outbox.append(Reading(1763812345000 + number, "ntp", "28ff641e8216c328", "Cel", 4.5, None))
        found.append([now - was for now, was in zip(counts(), before)])
    return found


def load():
    """What a start imports: the first run wrote it down."""
    with open("/modules") as file:
        names = file.read().split()
    before = counts()
    __import__("packfs")
    for name in names:
        __import__(name)
    return [now - was for now, was in zip(counts(), before)]


if WHAT == "start":
    until_the_first_sample()
    told = [counts([flash]), counts([partition])]
    with open("/modules", "w") as file:
        file.write("\n".join([name for name in sys.modules if name.split(".")[0] in ("thermograph", "umqtt")]))
elif WHAT == "load":
    told = load()
else:
    import packfs  # noqa: F401
    from thermograph.boards.esp32 import Esp32

    told = appends(Esp32().flash)
say(json.dumps(told))
