"""Thousands of cheap devices against a broker: what they cost, and whether every reading was acked."""

import asyncio
import dataclasses
import resource
import statistics
from collections.abc import Callable

import psutil

from backend.errors import SettingsError

from .cheap import Broker, CheapDevice, Tally

CONNECTS_PER_SECOND = 400
REPORT_EVERY = 1.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """interval, seconds, patience, settle in seconds. settle: how long to wait at the end for the last acks."""

    devices: int
    interval: float
    seconds: float
    settle: float = 90.0
    patience: float = 10.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """memory in bytes, cpu in seconds since the load began, of one process."""

    name: str
    memory: int
    cpu: float


@dataclasses.dataclass(frozen=True)
class Progress:
    elapsed: float
    phase: str
    tally: Tally
    costs: tuple[Cost, ...]


async def run(plan: Plan, broker: Broker, tell: Callable[[Progress], None]) -> Progress:
    """Let them live; tell() hears once a second how it is. Raises SettingsError when so many files may not be open."""
    _allow_files(plan.devices + 200)
    loop, tally, watched = asyncio.get_running_loop(), Tally(), _watched(broker)
    devices = [CheapDevice(name(n), n, broker, tally, plan.patience) for n in range(1, plan.devices + 1)]
    begun = loop.time()
    ramp = plan.devices / CONNECTS_PER_SECOND
    # Spread over the interval, as the boots of real devices are: no second of the minute has more than its share.
    lives = [
        asyncio.create_task(_live(device, begun, ramp * n / plan.devices, plan.interval * n / plan.devices, plan))
        for n, device in enumerate(devices)
    ]
    try:
        end = begun + ramp + plan.seconds
        while not all(life.done() for life in lives) or (tally.waiting and loop.time() < end + plan.settle):
            await asyncio.sleep(REPORT_EVERY)
            for device in devices:
                device.look_after()
            phase = "connecting" if loop.time() < begun + ramp else "sampling" if loop.time() < end else "settling"
            tell(Progress(loop.time() - begun, phase, tally, _costs(watched)))
        await asyncio.gather(*lives)
        # What was reached, before all of them leave.
        return Progress(loop.time() - begun, "done", dataclasses.replace(tally), _costs(watched))
    finally:
        for life in lives:
            life.cancel()
        for device in devices:
            device.close()
        await asyncio.sleep(0.2)


async def _live(device: CheapDevice, begun: float, connect: float, phase: float, plan: Plan) -> None:
    await asyncio.sleep(connect)
    start = begun + plan.devices / CONNECTS_PER_SECOND
    await device.run(start + phase, plan.interval, start + plan.seconds)


def name(number: int) -> str:
    return f"load-{number:05d}"


def summary(done: Progress) -> dict[str, object]:
    """For --json; memory in bytes, CPU and waits in seconds."""
    tally = done.tally
    median, most, longest = quantiles(tally.waits)
    return {
        "seconds": round(done.elapsed, 1),
        "connected": tally.connected,
        "connects": tally.connects,
        "ended": dict(tally.refused),
        "sampled": tally.sampled,
        "messages": tally.sent,
        "acked": tally.acked,
        "waiting": tally.waiting,
        "ack": {"median": median, "p99": most, "longest": longest},
        "processes": [dataclasses.asdict(cost) for cost in done.costs],
    }


def quantiles(waits: list[float]) -> tuple[float, float, float]:
    """(median, 99 %, longest) in seconds; zeros for none."""
    if len(waits) < 2:
        return (waits[0],) * 3 if waits else (0.0, 0.0, 0.0)
    cuts = statistics.quantiles(waits, n=100)
    return cuts[49], cuts[98], max(waits)


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SettingsError(
            f"This process may open {hard} files, and {wanted} are needed: a connection is one.",
            "Raise the limit (ulimit -n, LimitNOFILE= of a service), or take fewer devices.",
        )
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _watched(broker: Broker) -> list[tuple[psutil.Process, float]]:
    """This process, and the broker's if it is on this machine and may be seen; each with its CPU seconds by now."""
    own = psutil.Process()
    watched = [(own, _spent(own))]
    if broker.host in ("127.0.0.1", "localhost", "::1"):
        try:
            listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
            pids = {one.pid for one in listening if one.laddr and one.laddr.port == broker.port and one.pid}
            watched += [(process, _spent(process)) for process in map(psutil.Process, sorted(pids))]
        except psutil.Error:
            pass  # then its cost is not shown
    return watched


def _costs(watched: list[tuple[psutil.Process, float]]) -> tuple[Cost, ...]:
    costs = []
    for at, (process, before) in enumerate(watched):
        try:
            name = process.name() if at else "devices"
            costs.append(Cost(name, process.memory_info().rss, _spent(process) - before))
        except psutil.Error:
            continue  # it has ended, or may not be seen any more
    return tuple(costs)


def _spent(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)
