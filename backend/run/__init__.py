"""Everything on one machine: `python -m backend run`. README.md in this folder tells what runs and where it keeps it.

command   the command line: choices in, a Supervisor out
supervisor, child, leash   start, watch, restart and stop processes; know nothing of what they are
broker, object_store, backend_services, device   one service each: files it needs, command, readiness
layout, credentials, environment, private, lock, ports   the state folder and the machine
micropython, umqtt   the two parts of the device that no wheel brings
console   what is printed
"""

from .command import run

__all__ = ["run"]
