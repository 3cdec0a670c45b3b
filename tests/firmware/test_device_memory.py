"""10,000 readings on MicroPython in 192 KiB, all of them sent and freed; the heap does not fall."""

import json

import pytest

from device_bench import Backend, stop, wait_until

READINGS = 10000


@pytest.mark.parametrize("interpreter", ["micropython"], indirect=True)
def test_10_000_readings_in_192_kib(device, mosquitto):
    class Books(Backend):
        """Every state message tells the free heap after a collection."""

        def __init__(self, port):
            self.free = []
            super().__init__(port)

        def _on_message(self, client, userdata, message):
            super()._on_message(client, userdata, message)
            if message.topic.endswith("/state"):
                state = json.loads(message.payload)
                self.free.append((state["seq"], state["free"], state["block"]))

    books = Books(mosquitto.port)
    one = device(
        mosquitto.port,
        interval=0.002,
        state_every=1,
        sensors=[{"kind": "simulated", "id": "28ff641e8216c3a%d" % n, "seed": n, "faults": 0.05} for n in range(4)],
    )
    wait_until(lambda: books.stored >= READINGS or one.process.poll() is not None, 90)
    assert stop(one) == 0, one.log.read_text()[-2000:]
    books.stop()
    text = one.log.read_text()
    assert "MemoryError" not in text and "Traceback" not in text
    assert len(books.free) >= 4, books.free  # one a second, however quick the machine is
    third = max(1, len(books.free) // 3)
    early, late = books.free[1 : third + 1], books.free[-third:]
    assert min(free for _, free, _ in late) > min(free for _, free, _ in early) - 4096, books.free
    assert min(block for _, _, block in late) > 8192, books.free
