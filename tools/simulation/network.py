"""The network between each device and its broker: a TCP proxy that can be cut, blocked and restored."""

import asyncio
import contextlib
import threading
from collections.abc import Callable


class Way:
    """One device's way to the broker. port: where the device connects to, on 127.0.0.1."""

    def __init__(self, host: str, port: int) -> None:
        self._broker = host, port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def block(self) -> None:
        """From now on nothing arrives, either way; connections stay, and go on where they were after resume()."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.resume()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            back, there = await asyncio.open_connection(*self._broker)
            self._writers.add(there)
            pumps = [asyncio.ensure_future(self._pump(*pair)) for pair in ((reader, there), (back, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the broker is not there: the device sees its connection end
        finally:
            for one in (writer, there):
                if one is not None:
                    self._writers.discard(one)
                    one.close()
                    with contextlib.suppress(OSError):
                        await one.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()


class Network:
    """The ways of all devices, served by a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._thread.start()
        self._ways: list[Way] = []

    def way(self, host: str, port: int) -> Way:
        way = Way(host, port)
        asyncio.run_coroutine_threadsafe(way.open(), self._loop).result()
        self._ways.append(way)
        return way

    def call(self, what: Callable[[], None]) -> None:
        """One of a way's methods, in the thread that serves it."""
        self._loop.call_soon_threadsafe(what)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for way in self._ways:
            await way.close()
        own = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not own]
        if left:
            _, stuck = await asyncio.wait(left, timeout=2.0)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
