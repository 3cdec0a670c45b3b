"""Redis: what the web processes of several machines share, and may lose at any moment. The only importer of redis.

Whatever goes wrong with it costs speed only. A call that fails returns None, and for PAUSE seconds nothing is asked:
a Redis that hangs must not make every page wait for it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from .errors import SettingsError

log = logging.getLogger(__name__)

TIMEOUT = 0.25
PAUSE = 5.0
PREFIX = "thermograph:"


class SharedMemory:
    def __init__(self, url: str, password: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """url: redis://HOST:PORT/NUMBER, or rediss:// with TLS. Nothing is opened yet.

        Raises SettingsError when the URL is none, or redis-py is not installed.
        """
        try:
            import redis
        except ModuleNotFoundError:
            raise SettingsError(
                "THERMOGRAPH_REDIS is set, but Redis' client is not installed.", "pip install 'redis>=5'"
            ) from None
        try:
            # No retries of its own: they would multiply the time that a page waits.
            self._client = redis.Redis.from_url(
                url,
                password=password or None,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=None,
            )
        except ValueError as error:
            raise SettingsError(f"THERMOGRAPH_REDIS is {url!r}: {error}", "It takes redis://HOST:PORT/0.") from None
        self._errors = (redis.RedisError, OSError)
        self._clock = clock
        self._silent_until = 0.0
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """What the Lua script returns (bytes, numbers and lists of them); None when Redis does not answer."""
        keys = [PREFIX + key for key in keys]
        return self._ask(lambda: self._client.register_script(script)(keys=keys, args=arguments))

    def load(self, key: str) -> Mapping[bytes, bytes] | None:
        """The fields of a hash, none if there is no such key; None when Redis does not answer."""
        found: Mapping[bytes, bytes] | None = self._ask(lambda: self._client.hgetall(PREFIX + key))
        return found

    def close(self) -> None:
        self._client.close()

    def _ask(self, ask: Callable[[], Any]) -> Any:
        if self._clock() < self._silent_until:
            return None
        try:
            return ask()
        except self._errors as error:
            self._silent_until = self._clock() + PAUSE
            # The type only: what a server answers may hold what was sent to it.
            log.warning("Redis (%s) did not answer: %s. Going on without it.", self.name, type(error).__name__)
            return None
