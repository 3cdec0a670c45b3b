"""Bytes that nobody meant, for everything the device parses; on CPython and on MicroPython.

Input number N of a seed is always the same bytes: a piece of the corpus of parser N (fuzz_parsers.py), changed in a few
places. Only the exceptions that a parser is said to raise may leave it.
"""

import gc
from binascii import crc32

from nor import Random

try:
    import tracemalloc
except ImportError:
    tracemalloc = None  # MicroPython's gc counts bytes itself

_TOKENS = (
    b"null", b"true", b"1e999", b"-1", b"NaN", b"99999999999999999999", b"{}", b"[", b'"', b"\\ud800", b"\\u0000", b",",
    b"\xff\xfe", b"\xc3", b"\xf0\x9f\x8c\xa1", b"%", b"%zz", b"%00", b"&", b"=", b"+", b"\r\n", b"\r\n\r\n", b": ",
    b"\0", b"\xc0\x0c", b"\x80\x80\x80\x01", b"\x7f", b"\xff\xff", b"\x00\x00",
)  # fmt: skip
_LONGEST = 4096


class Escaped(Exception):
    """An exception that may not left a parser. args: its name, the input's number and bytes, the exception."""


def changed(random, corpus):
    """A piece of the corpus, changed."""
    data = corpus[random(len(corpus))]
    for _ in range(random(5)):
        at = random(len(data) + 1)
        data = _CHANGES[random(len(_CHANGES))](random, data, at, corpus)[:_LONGEST]
    return data


def _flip(random, data, at, corpus):
    return data[:at] + bytes([byte ^ 1 << random(8) for byte in data[at : at + 1]]) + data[at + 1 :]


def _set(random, data, at, corpus):
    byte = (0, 1, 0x22, 0x30, 0x39, 0x5B, 0x7B, 0x7F, 0x80, 0xC0, 0xFF, random(256))[random(12)]
    return data[:at] + bytes((byte,)) + data[at + 1 :]


def _insert(random, data, at, corpus):
    return data[:at] + bytes([random(256) for _ in range(1 + random(4))]) + data[at:]


def _token(random, data, at, corpus):
    return data[:at] + _TOKENS[random(len(_TOKENS))] + data[at:]


def _remove(random, data, at, corpus):
    return data[:at] + data[at + 1 + random(8) :]


def _cut(random, data, at, corpus):
    return data[:at]


def _repeat(random, data, at, corpus):
    return data[:at] + data[at : at + 1 + random(12)] * (1 << random(10)) + data[at:]


def _splice(random, data, at, corpus):
    other = corpus[random(len(corpus))]
    return data[:at] + other[random(len(other) + 1) :]


_CHANGES = (_flip, _flip, _set, _insert, _token, _token, _remove, _cut, _repeat, _splice)


def make(parsers, seed, number):
    """(parser, bytes) of an input."""
    random = Random(crc32(b"%d.%d" % (seed, number)))  # neighbours of a linear generator begin alike
    parser = parsers[number % len(parsers)]
    return parser, changed(random, parser.corpus)


def try_one(parser, number, data):
    try:
        parser.call(data)
    except parser.raises:
        return False
    except Exception as error:
        raise Escaped(parser.name, number, data, error) from error
    return True


def run(parsers, seed, first, count, tried=None):
    """Try these inputs. {name: [inputs, those that were taken]}, new or added to."""
    tried = {parser.name: [0, 0] for parser in parsers} if tried is None else tried
    for number in range(first, first + count):
        parser, data = make(parsers, seed, number)
        row = tried[parser.name]
        row[0] += 1
        row[1] += try_one(parser, number, data)
    return tried


def run_and_weigh(parsers, seed, first, count, weighed):
    """(what run gives, bytes added by the `weighed` last ones). Weighing is slow on CPython."""
    tried = run(parsers, seed, first, count - weighed)
    more = {name: [0, 0] for name in tried}
    gc.collect()
    before = 0 if tracemalloc else gc.mem_alloc()
    if tracemalloc:
        tracemalloc.start()
    try:
        run(parsers, seed, first + count - weighed, weighed, more)
        gc.collect()
        grown = (tracemalloc.get_traced_memory()[0] if tracemalloc else gc.mem_alloc()) - before
    finally:
        if tracemalloc:
            tracemalloc.stop()
    return {name: [a + b for a, b in zip(counts, more[name])] for name, counts in tried.items()}, grown
