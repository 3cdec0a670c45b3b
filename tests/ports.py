"""Free loopback ports that stay free until the server has bound them."""

import itertools
import os
import re
import socket

# Below Linux's ephemeral range (32768 up, /proc/sys/net/ipv4/ip_local_port_range): a port that the kernel itself hands
# to outgoing connections may be gone between asking and binding.
FIRST = 12_000
# Each pytest-xdist worker has a slice of its own; a run outside it, such as one that a test starts, one of the others.
SLICE = 2_000
FOR_WORKERS, FOR_OTHERS = 6, 4


def _mine() -> range:
    worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    place = int(worker[1]) % FOR_WORKERS if worker else FOR_WORKERS + os.getpid() % FOR_OTHERS
    first = FIRST + place * SLICE
    return range(first, first + SLICE)


_ports = itertools.cycle(_mine())


def free_port() -> int:
    """A port where nobody listens, and that this process has not handed out lately."""
    for _ in range(SLICE):
        port = next(_ports)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below the ephemeral range")
