"""A small siege of the gateway; `python -m tools bench gateway` is the one with 2,000 clients."""

from tests.end_to_end.siege import Siege

CLIENTS, READINGS, SECONDS = 200, 6, 9.0


def test_a_crowd_a_tenth_of_it_hostile_over_a_kill_of_gateway_and_broker(world, tmp_path):
    report = Siege(tmp_path, world, CLIENTS, READINGS, SECONDS, seed=7).run()
    assert report.archived == CLIENTS * 9 // 10 * READINGS
    assert report.sent_again > 0
    assert set(report.attacks) == {"endless", "drip", "huge", "noise", "hang"}
    assert report.troubles["long"] > 0
    assert report.troubles["malformed"] > 0
    assert report.memory_most < report.memory_before + report.memory_bound
