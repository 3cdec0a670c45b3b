"""checks_resolver.py on CPython and on MicroPython, and the Link's way through real name servers."""

import socket

import pytest

import checks_resolver
from checks import names, run
from checks_link import TIMEOUT
from link_bench import Udp, dns_answer, failed_in_time


@pytest.mark.parametrize("name", names(checks_resolver))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_resolver(where, name, request):
    run(where, checks_resolver, name, request)


def test_a_broker_by_name(trial, mosquitto):
    """Over a server that swallows, answers meant for others, and the answer; the second time without asking."""

    def answer(data):
        good = dns_answer(data, ["127.0.0.1"])
        return [b"", b"nonsense", dns_answer(data, ["127.0.0.9"], number=(data[0] << 8 | data[1]) ^ 1), good]

    with Udp(answer) as names:
        seen = trial(mosquitto.port, "again", host="broker.cold.example", dns=[names.name])
    assert seen["error"] is None and seen["connected"], seen
    assert len(names.heard) == 1


def test_a_name_server_that_swallows_everything(trial):
    with Udp() as names:
        seen = trial(1883, "connect", host="broker.cold.example", dns=[names.name])
    failed_in_time(seen, "dns")
    assert seen["ms"] >= TIMEOUT - 50 and 6 <= seen["calls"] <= 40 and names.heard, seen


def test_no_name_server_is_there(trial):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    seen = trial(1883, "connect", host="broker.cold.example", dns=["127.0.0.1:%d" % port])
    failed_in_time(seen, "dns")
    assert seen["calls"] <= 40, seen


def test_no_such_name(trial):
    with Udp(lambda data: [dns_answer(data, [], flags=0x8183)]) as names:
        seen = trial(1883, "connect", host="broker.cold.example", dns=[names.name])
    failed_in_time(seen, "dns")
    assert seen["error"] == "dns: broker.cold.example: no such name" and seen["ms"] < TIMEOUT, seen


def test_garbage_from_the_name_server(trial):
    with Udp(lambda data: [data, data[:5], bytes(512), dns_answer(data, ["10.0.0.1"])[:-2]]) as names:
        seen = trial(1883, "connect", host="broker.cold.example", dns=[names.name])
    failed_in_time(seen, "dns")


def test_the_files_of_a_pc(tmp_path, umqtt_path):
    from thermograph.boards.unix import port
    from thermograph.boards.unix_network import Network
    from thermograph.clock import Clock

    (tmp_path / "resolv.conf").write_text("# made by hand\nsearch example\nnameserver 10.0.0.1\nnameserver ::1\n")
    (tmp_path / "hosts").write_text("::1 broker\n\n10.0.0.9\tbroker.example Broker # ours\n")
    network = Network(Clock(port.Time, "ntp"), bytes, (), str(tmp_path))
    assert network.servers() == ["10.0.0.1"]
    assert network.known("broker") == "10.0.0.9" and network.known("ours") is None
    assert Network(Clock(port.Time, "ntp"), bytes, (), str(tmp_path / "none")).servers() == []
