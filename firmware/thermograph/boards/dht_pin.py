"""The pin of a DHT22, as its driver wants it: a call gives a frame. It outlives buses.py, which is let go."""

from dht import dht_readinto


class DhtPin:
    def __init__(self, pin):
        self._pin = pin

    def __call__(self):
        """5 bytes. OSError ETIMEDOUT if nobody answers."""
        frame = bytearray(5)
        dht_readinto(self._pin, frame)
        return frame
