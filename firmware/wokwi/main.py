"""The main.py of a project on wokwi.com, whose files lie in one folder: their names say where they belong.

`python -m tools wokwi --project FOLDER` makes such files: thermograph.boards.esp32.py, start.py for the firmware's own
main.py. Wokwi gives the board a fresh copy at each start.
"""

import os


def unfold():
    """thermograph.boards.esp32.py -> thermograph/boards/esp32.py"""
    for name in os.listdir():
        steps = name.split(".")
        if len(steps) > 2 and steps[-1] == "py":
            folder = ""
            for step in steps[:-2]:
                if step not in os.listdir(folder or "."):
                    os.mkdir(folder + step)
                folder += step + "/"
            os.rename(name, folder + steps[-2] + ".py")


if __name__ == "__main__":
    unfold()
    import start

    from thermograph.boards.esp32 import Esp32

    start.start(Esp32())
