"""Start a command that cannot outlive its supervisor, not even one killed with -9.

    python -I -S leash.py SUPERVISOR_PID COMMAND...

Linux: the kernel kills the command when the supervisor dies; this process becomes the command. Elsewhere: this
process stays, and ends the command when the pipe from the supervisor closes, which the system does for the dead too.
A process of its own, because between fork and exec no Python code is safe in a supervisor with threads.
"""

import os
import subprocess
import sys
import threading

GRACE = 10


def tie_by_kernel(supervisor: int, command: list[str]) -> None:
    import ctypes
    import signal

    pr_set_pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The supervisor may have died before prctl: then nobody is left to send the signal.
    if os.getppid() != supervisor:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command


def tie_by_pipe(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the supervisor's own command

    def wait_for_supervisor() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=wait_for_supervisor, daemon=True).start()
    return child.wait()


def main(arguments: list[str]) -> int:
    supervisor, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        tie_by_kernel(supervisor, command)
    return tie_by_pipe(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
