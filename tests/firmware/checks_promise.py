"""What the promise needs of Link and Node, told one by one: each check here is the one that finds a seeded bug."""

import json

from thermograph.errors import LinkError

from checks_node import Bench
from line import CONNACK, Line
from nor import PowerCut

TELEMETRY = "thermograph/v1/fridge-1/telemetry"
TIMEOUT = 5000


# -- Link


def fails(call, *args, **options):
    try:
        call(*args, **options)
    except LinkError:
        return
    raise AssertionError("no LinkError")


def connected():
    line = Line(lambda topic, payload: None)
    line.connect()
    line.limit = line.ms + 60000
    return line


def check_silence_ends_at_the_deadline():
    line = connected()
    start = line.ms
    fails(line.link.publish, TELEMETRY, b"x" * 1000, qos=1)
    assert TIMEOUT <= line.ms - start <= TIMEOUT + 200 and not line.link.connected


def check_a_flood_does_not_move_the_deadline():
    line = connected()
    line.flood = b"\x30\x04\0\1ax"
    start = line.ms
    fails(line.link.publish, TELEMETRY, b"x", qos=1)
    assert TIMEOUT <= line.ms - start <= TIMEOUT + 200


def check_others_work_while_the_link_waits():
    line = connected()
    fails(line.link.subscribe, TELEMETRY)
    line.on_wait()
    assert line.longest <= 110, line.longest


def check_the_packet_id_begins_again_at_1():
    line = connected()
    line.link.pid = 65534
    for number in (65535, 1):
        line.said = b"\x40\x02" + bytes((number >> 8, number & 255))
        line.link.publish("a", b"", qos=1)
    assert line.heard == b"\x32\x05\0\1a\xff\xff\x32\x05\0\1a\0\1", line.heard


def check_a_ping_without_an_answer_ends_a_half_open_connection():
    line = connected()
    start = line.ms
    fails(listen_long, line)
    assert line.heard == b"\xc0\0", "one ping"
    assert line.ms - start <= line.keepalive * 500 + TIMEOUT + 1500


def listen_long(line):
    for _ in range(50):
        line.link.listen(1000)


def check_all_of_a_packet_is_sent_though_the_stream_takes_little_at_once():
    line = connected()
    line.at_once = 7
    line.said = b"\x40\x02\0\1"
    line.link.publish("a", b"0123456789" * 5, qos=1)
    assert line.heard == b"\x32\x37\0\1a\0\1" + b"0123456789" * 5


def check_another_packets_puback_is_none():
    line = connected()
    line.said = b"\x40\x02\0\7"
    fails(line.link.publish, "a", b"", qos=1)


def check_words_before_the_connack_are_refused():
    line = Line(lambda topic, payload: None)
    line.said = b"\x40\x02\0\0" + CONNACK
    fails(line.link.connect)


def check_a_connection_that_was_lost_waits_as_one_that_never_came():
    """Two boards of one name throw each other out: neither may come back at once, though the network is new."""
    line = connected()
    line.up_since = line.ms - 1
    line.ms += 1
    assert line.link.network_is_new(), "since before the first connection"
    fails(line.link.subscribe, TELEMETRY)
    assert not line.link.network_is_new() and not line.link.connected


def check_running_out_of_memory_is_a_link_error_and_closes_the_connection():
    class Guard:
        def begin(self):
            pass

        def do(self, act, error):
            raise MemoryError

    line = connected()
    line.guard = Guard()

    def no_memory(view):
        raise MemoryError

    line.send = no_memory
    fails(line.link.publish, TELEMETRY, b"x", qos=1)
    assert not line.link.connected


# -- Node


def check_a_puback_frees_nothing():
    bench = Bench(interval=60)
    bench.run(200)
    assert bench.sent() and bench.outbox.freed == 0


def check_an_ack_of_another_stream_frees_nothing():
    bench = Bench(interval=60)
    bench.run(200)
    bench.broker.send("ack", {"stream": "00000000", "seq": 2})
    bench.run(5)
    assert bench.outbox.freed == 0 and bench.board.said("ignored:")
    bench.ack(2)
    bench.run(5)
    assert bench.outbox.freed == 2


def check_an_ack_of_the_future_frees_nothing():
    bench = Bench(interval=60)
    bench.run(200)
    bench.ack(1000000)
    bench.run(5)
    assert bench.outbox.freed == 0 and bench.board.said("ignored:")


def check_what_is_not_acked_is_sent_again():
    bench = Bench(interval=3600, patience=10)
    bench.run(30)
    assert [seq for seq, _ in bench.sent()][:2] == [1, 1]


def check_a_backend_that_forgets_is_served_again():
    bench = Bench(interval=60)
    bench.run(200)
    bench.ack(4)
    bench.run(5)
    bench.broker.heard = []
    bench.ack(1)
    bench.run(5)
    assert bench.sent() == [(2, 3)] and bench.outbox.freed == 1, bench.sent()


def check_a_gap_is_told_before_what_follows():
    bench = Bench(interval=60)
    bench.broker.up = False
    bench.run(100)
    last = bench.outbox.last
    bench.flash.fuse, bench.flash.mode = 0, "mixed"
    try:
        bench.run(61)
        raise AssertionError("no cut")
    except PowerCut:
        bench.flash.fuse = None
    bench.broker.up = True
    bench.start()
    bench.run(100)
    told = [json.loads(payload) for leaf, payload in bench.broker.heard if leaf == "telemetry"]
    assert [told[0]["seq"], len(told[0]["r"])] == [1, last], told
    assert told[1]["gap"] == [last + 1, last + 1] and told[1]["cause"] == "power-cut"
    assert next(message["seq"] for message in told if message.get("seq", 0) > 1) == last + 2


def check_readings_of_two_boots_without_a_clock_are_two_messages():
    bench = Bench(interval=60, clock="none")
    bench.broker.up = False
    bench.run(70)
    bench.start()
    bench.broker.up = True
    bench.run(100)
    told = [json.loads(payload) for leaf, payload in bench.broker.heard if leaf == "telemetry"]
    assert [message["boot"] for message in told][:2] == [1, 2], told
