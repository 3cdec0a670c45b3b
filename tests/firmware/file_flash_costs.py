"""What a reading costs the flash of a board that keeps its Outbox in files: for MicroPython, prints one JSON object.

    micropython tests/firmware/file_flash_costs.py [FIRMWARE_FOLDER] [READINGS]

Counted on its VfsLfs2 (lfs_disk.py) while the real Outbox appends, peeks and frees as a Node does, beside a pack of
70 kB and settings.json. The board's reads are of 128 bytes at most.
"""

import json
import sys

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."


def flash_costs(count=2000):
    """{"reading": {"reads": {"mean", "worst"}, "programs", "erases"}, "start": {"reads", ...}} of so many readings."""
    from thermograph.boards.choose_flash import choose
    from thermograph.outbox import Outbox
    from thermograph.reading import Reading

    import lfs_disk

    device = lfs_disk.make()
    path = lfs_disk.mount(device)
    lfs_disk.write(path + "/firmware.pack", 70000)
    lfs_disk.write(path + "/settings.json", 500)
    channel = ("28ff641e8216c3a1", "Cel")
    outbox = Outbox(choose(path, None, 1 << 20, lambda text: None), lambda size: b"\x9f\x3a\x1c\x02", [channel])
    total, worst = [0, 0, 0], [0, 0, 0]
    device.count()
    for number in range(1, count + 1):
        seq = outbox.append(Reading(number, "ntp", channel[0], channel[1], number / 16, None))
        assert [item.seq for item in outbox.peek(outbox.freed + 1, 60)] == [seq]
        outbox.free(seq)
        for at, value in enumerate(device.count()):
            total[at] += value
            worst[at] = max(worst[at], value)
    lfs_disk.power_off()
    lfs_disk.mount(device)
    device.count()
    again = Outbox(choose(path, None, 1 << 20, lambda text: None), None, [channel])
    assert again.last == count
    names = ("reads", "programs", "erases")
    costs = {name: {"mean": total[at] / count, "worst": worst[at]} for at, name in enumerate(names)}
    return {"readings": count, "capacity": again.capacity, "reading": costs, "start": dict(zip(names, device.count()))}


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1] if len(sys.argv) > 1 else HERE + "/../../firmware", HERE]
    print(json.dumps(flash_costs(int(sys.argv[2]) if len(sys.argv) > 2 else 2000)))
