"""Runs the firmware on a board.

On a PC: `micropython firmware/main.py DEVICE_FOLDER` or `python firmware/main.py DEVICE_FOLDER`, with umqtt's folder
in MICROPYPATH or PYTHONPATH. Exit code 0 after SIGTERM or Ctrl-C, 2 for settings that cannot be used.

An ESP32 compiles this file at each start, so it is short: thermograph/start.py builds what runs.
"""

import gc
import sys

if hasattr(gc, "threshold"):
    # Collect often, before the first import of ours: what stays then lies together, and what is free is one piece.
    gc.threshold(8192)


def start(board):
    """Run the board until somebody ends it: the exit code. Whatever else ends it leads to board.restart()."""
    from thermograph.moment import let_go

    try:
        from thermograph.start import prepare

        node = prepare(board)
        prepare = None
        let_go("start", "boards.esp32_start", "boards.rtc_memory", "boards.memory_start", "boards.memory_acts")
        node.run()
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        node = prepare = None  # whatever it was, there is memory again to say it
        from thermograph.start import ended

        return ended(board, error)


if __name__ == "__main__":
    if sys.platform == "esp32":
        try:
            import packfs
            from thermograph.boards.memory_start import size_heap

            size_heap()  # before what comes next fills it
            del size_heap
            from thermograph.boards.esp32 import Esp32

            start(Esp32())  # no sys.exit: it would begin again at once, and Ctrl-C would never reach the prompt
        except ImportError as error:
            print("%s. Copy the firmware again: python -m tools flash" % error)
    else:
        import packfs  # noqa: F401
        from thermograph.boards.unix import main

        sys.exit(main(sys.argv, start))
