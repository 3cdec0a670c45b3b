"""The portal's pure parts, on CPython and on MicroPython. Each check is a function of no arguments."""

import struct

from thermograph.portal import dns, form, http, page
from thermograph.settings import checked

from nor import Random

PHONE = (
    b"GET /hotspot-detect.html?x=1 HTTP/1.1\r\nHost: captive.apple.com\r\nUser-Agent: CaptiveNetworkSupport/1.0\r\n"
    b"Accept: */*\r\n\r\n"
)
GOOD = {
    "network": "Home",
    "password": "goat cheese",
    "host": "broker.lan",
    "port": "1884",
    "user": "fridge",
    "secret": "cold-secret",
    "device": "Fridge-1 ",
}


def status_of(data):
    try:
        return http.parse(data)
    except http.HttpError as error:
        return error.status


def check_a_request_is_whole_or_waited_for():
    assert http.parse(PHONE) == http.Request("GET", "/hotspot-detect.html", "captive.apple.com", b"")
    for size in range(len(PHONE)):
        assert http.parse(PHONE[:size]) is None, size
    post = b"POST /save HTTP/1.1\r\nhost: 192.168.4.1:80\r\nCONTENT-LENGTH: 3\r\n\r\n"
    assert http.parse(post + b"a=") is None
    assert http.parse(post + b"a=bc") == http.Request("POST", "/save", "192.168.4.1", b"a=b")
    assert http.parse(b"GET http://x.test/y HTTP/1.1\r\n\r\n").path == "/y"
    assert http.parse(b"GET http://x.test HTTP/1.0\r\n\r\n").path == "/"


def check_requests_that_are_none_get_a_status():
    for status, data in (
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),  # TLS
        (400, b"\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
        (400, b"GET x HTTP/1.1\r\n\r\n"),
        (400, b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (405, b"PUT / HTTP/1.1\r\n\r\n"),
        (411, b"POST / HTTP/1.1\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nContent-Length: 2049\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"),
        (431, b"GET /" + b"a" * 3000),
        (431, b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 60 + b"\r\n"),
        (501, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (505, b"GET / SPDY/3\r\n\r\n"),
    ):
        assert status_of(data) == status, (status_of(data), data)


def check_a_form_is_decoded():
    fields = form.parse(b"network=Caf%C3%A9+%3Cb%3E&password=a%26b%3Dc%2B&unknown=1&device=&force=1")
    assert fields == {"network": "Caf\u00e9 <b>", "password": "a&b=c+", "device": "", "force": "1"}, fields
    assert form.parse(b"") == {} and form.parse(b"&&=&port") == {"port": ""}


def check_a_hostile_form_is_refused_in_words():
    for body in (
        b"host=%",
        b"host=%4",
        b"host=%zz",
        b"host=%00",
        b"host=%0d%0aX",
        b"host=\x7f",
        b"host=%ff%fe",
        b"host=" + b"a" * 1000,
        b"host=" + b"%41" * 257,
        b"a=b&" * 30,
    ):
        try:
            form.parse(body)
            raise AssertionError(body)
        except form.FormError as error:
            assert str(error).endswith("."), error


def check_a_good_form_makes_settings():
    wanted = form.check(GOOD, {"interval": 5, "sensors": [], "broker": {"keepalive": 20}})
    assert wanted["device"] == "fridge-1" and wanted["interval"] == 5
    assert wanted["broker"] == {
        "host": "broker.lan",
        "port": 1884,
        "user": "fridge",
        "password": "cold-secret",
        "keepalive": 20,
    }
    assert wanted["networks"] == [{"ssid": "Home", "password": "goat cheese"}]
    checked(wanted)


def check_what_is_left_empty_stays_for_the_same_place_only():
    known = form.check(GOOD, {})
    empty = dict(GOOD, password="", secret="")
    assert form.check(empty, known) == known
    other = form.check(dict(empty, network="Cafe", user="", host="other.lan"), known)
    assert other["networks"] == [{"ssid": "Cafe", "password": ""}, {"ssid": "Home", "password": "goat cheese"}]
    assert other["broker"]["password"] is None
    for changed in ({"host": "evil.lan"}, {"user": "other"}):
        try:
            form.check(dict(empty, **changed), known)
            raise AssertionError("a secret went to another place")
        except form.FormError:
            pass


def check_each_mistake_is_named():
    for changed, word in (
        ({"network": ""}, "network"),
        ({"hidden": "x" * 33}, "32"),
        ({"password": "short"}, "password"),
        ({"host": ""}, "broker"),
        ({"host": "a b"}, "broker"),
        ({"port": "0"}, "port"),
        ({"port": "99999"}, "port"),
        ({"port": "\u0661"}, "port"),
        ({"user": ""}, "together"),
        ({"device": " "}, "name"),
    ):
        try:
            form.check(dict(GOOD, **changed), {})
            raise AssertionError(changed)
        except form.FormError as error:
            assert word in str(error), error


def check_the_page_is_small_and_escapes_all():
    evil = "\"'><script>&"
    networks = [(evil + str(number) + "\u00e9" * 8, -60 - number) for number in range(30)]
    values = {name: evil for name in ("network", "hidden", "host", "port", "user", "device")}
    pieces = list(page.form("thermograph-abcd", "0badcafe", networks, values, "The network %s refuses" % evil))
    whole = b"".join(pieces)
    assert len(whole) < 4096 and max([len(piece) for piece in pieces]) < 1100, len(whole)
    assert b"<script" not in whole and evil.encode() not in whole and whole.count(b"<option") == 8
    usual = b"".join(page.form("thermograph-abcd", "0badcafe", [("Home", -50)], {"device": "x"}))
    assert len(usual) < 3000 and b"Home (strong)" in usual
    for other in (page.wait("thermograph-abcd", evil), page.done("thermograph-abcd", evil)):
        assert b"<script" not in b"".join(other)


def query(name, kind=1, flags=0x0100):
    labels = b"".join([bytes([len(label)]) + label for label in name.split(b".")])
    return struct.pack("!HHHHHH", 77, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def check_every_name_is_ours():
    reply = dns.answer(query(b"connectivitycheck.gstatic.com"), b"\xc0\xa8\x04\x01")
    assert reply[:2] == b"\x00\x4d" and reply[2] & 0x80 and reply[-4:] == b"\xc0\xa8\x04\x01"
    assert struct.unpack_from("!H", reply, 6)[0] == 1
    six = dns.answer(query(b"x.test", kind=28), b"\xc0\xa8\x04\x01")
    assert struct.unpack_from("!H", six, 6)[0] == 0 and six[3] & 15 == 0, "no address of that kind, but the name is"
    for bad in (
        b"",
        b"x" * 12,
        query(b"x", flags=0x8000),
        query(b"x" * 63)[:40],
        query(b"x")[:-2],
        b"\0\x4d\1\0\0\1" + b"\0" * 6 + b"\xc0\x0c\0\1\0\1",
    ):
        assert dns.answer(bad, b"1234") is None, bad


def check_no_bytes_break_a_parser():
    random = Random(7)
    for turn in range(3000):
        data = bytearray([query(b"a.b"), PHONE, b"network=a%20b&port=18&host=x"][turn % 3])
        for _ in range(1 + random(6)):
            data[random(len(data))] = random(256)
        data = bytes(data[: random(len(data) + 1)])
        dns.answer(data, b"1234")
        status_of(data)
        try:
            form.check(form.parse(data), {})
        except form.FormError:
            pass
