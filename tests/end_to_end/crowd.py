"""A crowd of TCP clients of the gateway, each at an address of its own (127.x.y.z), a tenth of them hostile.

A good client sends a reading and waits for `ok`. Where no answer comes, it connects again and sends the same reading
with the same id: what is answered once must be in S3 once. A hostile one comes back for as long as the crowd lives.
"""

import asyncio
import contextlib
import random
from collections import Counter

PATIENCE = 10.0
HUGE = 1_000_000_000
KINDS = ("endless", "drip", "huge", "noise", "hang")
# What a client answers by coming again: busy, or a limit that it ran into while this machine was.
AGAIN = tuple(f"error {kind}: ".encode() for kind in ("busy", "silent", "slow", "crowding"))

Key = tuple[str, float]


class Crowd:
    def __init__(self, port: int, clients: int, readings: int, seconds: float, seed: int) -> None:
        """clients: in all; readings: of each good one, spread over so many seconds."""
        self._port = port
        self._seconds = seconds
        self._chance = random.Random(seed)
        hostile = clients // 10
        self._good = range(clients - hostile)
        self._hostile = range(clients - hostile, clients)
        self._readings = readings
        self.expected = {(f"gw-s{n}", value(n, k)) for n in self._good for k in range(readings)}
        self.answered: set[Key] = set()
        self.again = 0  # readings that were sent more than once
        self.connected = self.most = 0
        self.attacks: Counter[str] = Counter()
        self.refused: list[str] = []

    async def run(self) -> None:
        """Until every reading was answered `ok`. A refusal ends it at once: it is in `refused`."""
        attackers = [asyncio.create_task(self._attack(n, KINDS[n % len(KINDS)])) for n in self._hostile]
        try:
            await asyncio.gather(*(self._send_all(n) for n in self._good))
        finally:
            for task in attackers:
                task.cancel()
            await asyncio.gather(*attackers, return_exceptions=True)

    async def _send_all(self, number: int) -> None:
        pause = self._seconds / self._readings
        await asyncio.sleep(self._chance.uniform(0, pause))
        done = 0
        while done < self._readings and not self.refused:
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                async with self._connection(number) as (reader, writer):
                    while done < self._readings and not self.refused:
                        await self._send(number, done, reader, writer)
                        done += 1
                        await asyncio.sleep(pause * self._chance.uniform(0.5, 1.5))
            if done < self._readings:
                self.again += 1
                await asyncio.sleep(self._chance.uniform(0.1, 1))

    async def _send(self, number: int, k: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises OSError, EOFError or TimeoutError where no answer came."""
        writer.write(f"s{number}/temperature,{value(number, k)!r} #{k}-{number}\n".encode())
        async with asyncio.timeout(PATIENCE):
            answer = await reader.readline()
        if not answer.endswith(b"\n") or answer.startswith(AGAIN):
            raise EOFError
        if answer.startswith(b"ok "):
            self.answered.add((f"gw-s{number}", value(number, k)))
        else:
            self.refused.append(answer.decode())

    async def _attack(self, number: int, kind: str) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                async with self._connection(number) as (reader, writer):
                    self.attacks[kind] += 1
                    async with asyncio.timeout(60):
                        await getattr(self, f"_{kind}")(reader, writer)
            await asyncio.sleep(1)

    async def _endless(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            writer.write(b"temperature,1" * 4)
            await writer.drain()
            await asyncio.sleep(0.5)

    async def _drip(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"temperature,21.4 never comes to its end, or only very late":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)

    async def _huge(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(HUGE // 65_536):
            writer.write(b"1" * 65_536)
            await writer.drain()

    async def _noise(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            writer.write(self._chance.randbytes(self._chance.randrange(1, 400)))
            await writer.drain()
            await asyncio.sleep(0.2)

    async def _hang(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    @contextlib.asynccontextmanager
    async def _connection(self, number: int):
        address = f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self.connected += 1
        self.most = max(self.most, self.connected)
        try:
            yield reader, writer
        finally:
            self.connected -= 1
            writer.transport.abort()


def value(number: int, k: int) -> float:
    """A value that no other reading of this client has."""
    return k + number / 10_000
