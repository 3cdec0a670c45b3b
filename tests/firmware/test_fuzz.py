"""50,000 inputs on CPython, a few thousand on MicroPython: nothing leaves its handler, nothing grows.

`python -m tools bench fuzz` runs a million.
"""

import subprocess

import pytest

import fuzz
from checks import FIRMWARE, HERE

GROWTH = 16384  # bytes: the newest settings, the ids of 16 commands, and the like


@pytest.fixture
def parsers(umqtt_path):
    import fuzz_parsers

    return fuzz_parsers.parsers()


def test_50_000_inputs(parsers):
    tried, grown = fuzz.run_and_weigh(parsers, 1, 0, 50000, 5000)
    assert grown < GROWTH, grown
    assert all(taken for _, taken in tried.values()), "a corpus of which nothing is ever taken: %s" % tried


def test_a_few_thousand_on_micropython(micropython, umqtt_path):
    words = [*micropython, "-X", "heapsize=1m", str(HERE / "run_fuzz.py"), FIRMWARE, "2", "6000"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=100, cwd=HERE, env={"MICROPYPATH": str(umqtt_path)}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) < GROWTH, done.stdout


def test_the_corpus_is_good_as_it_is(parsers):
    """What nobody has changed is taken by its own parser, or refused by an exception that the parser may raise."""
    for parser in parsers:
        assert any([fuzz.try_one(parser, 0, data) for data in parser.corpus]), parser.name


def test_an_exception_that_escapes_is_found(parsers):
    parser = parsers[0]._replace(call=lambda data: data[3])
    with pytest.raises(fuzz.Escaped):
        fuzz.run([parser], 1, 0, 500)


def test_growth_is_found(parsers):
    held = []
    parser = parsers[0]._replace(call=lambda data: held.append(data + b"."))
    assert fuzz.run_and_weigh([parser], 1, 0, 2000, 1000)[1] > GROWTH


def test_an_input_is_the_same_each_time(parsers):
    assert [fuzz.make(parsers, 3, number)[1] for number in range(99)] == [
        fuzz.make(parsers, 3, number)[1] for number in range(99)
    ]
    assert len({fuzz.make(parsers, 3, number)[1] for number in range(1000)}) > 500
