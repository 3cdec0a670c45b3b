"""What the device parses, each with examples to start from. A new one is one line in parsers().

A parser lives for the whole run with what it keeps, so that growth shows.
"""

import json
from collections import namedtuple

from thermograph import commands, kept, reading, resolver, settings, sntp
from thermograph.crashlog import CrashLog
from thermograph.errors import FlashError, LinkError, SettingsError
from thermograph.outbox import Outbox
from thermograph.portal import dns, form, http
from thermograph.portal.portal import Portal
from thermograph.settings_store import FILE, REMOTE, Store

from line import CONNACK, Line
from nor import Nor
from truth import reading as made_up

# call(bytes); raises: what may leave it.
Parser = namedtuple("Parser", ("name", "corpus", "raises", "call"))

WIRE = __file__.rsplit("/", 2)[0] + "/wire/v1/"
NONCE = b"\x11\x22\x33\x44\x55\x66\x77\x88"
HOST = "broker.example"
OWN = {
    "device": "fridge-1", "interval": 10, "networks": [{"ssid": "home", "password": "cold-secret"}],
    "broker": {"host": HOST, "port": 1883, "user": "fridge", "password": "cold-secret"},
}  # fmt: skip


def parsers():
    line = Line(lambda topic, payload: reading.ack(payload))
    files = Files()
    store = Store(files)
    store.load()
    board = Board(files)
    portal = Portal(
        "thermograph-1", "192.168.4.1", Station(), line, OWN, settings.checked, lambda fields: None, "t0k", lambda: 0
    )
    flash = Flash()
    return [
        Parser("packet while listening", PACKETS, LinkError, lambda data: hear(line, data, listening)),
        Parser("packet instead of a CONNACK", PACKETS, LinkError, lambda data: hear(line, data, connecting)),
        Parser("packet instead of a PUBACK", PACKETS, LinkError, lambda data: hear(line, data, publishing)),
        Parser("packet instead of a SUBACK", PACKETS, LinkError, lambda data: hear(line, data, subscribing)),
        Parser("ack", golden_acks(), (), reading.ack),
        Parser("settings message", SETTINGS, (), lambda data: take_settings(store, data)),
        Parser("settings.json", SETTINGS, SettingsError, lambda data: Store(Files({FILE: data})).load()),
        Parser("settings-remote.json", REMOTES, SettingsError, lambda data: start(data)),
        Parser("command", COMMANDS, (), lambda data: commands.run(data, board, board)),
        Parser("crashes.json", CRASHES, (), lambda data: CrashLog(Files({"crashes.json": data}), line).newest),
        Parser("commands.json", [b'["1", "2"]'], (), lambda data: again(files, data, board)),
        Parser("portal request", REQUESTS, http.HttpError, lambda data: serve(portal, data)),
        Parser("portal form", FORMS, (form.FormError, SettingsError), lambda data: fill_in(data)),
        Parser("portal name query", [QUERY], (), lambda data: dns.answer(data, b"\xc0\xa8\x04\x01")),
        Parser(
            "name answer",
            ANSWERS,
            (resolver.Wrong, resolver.Refused),
            lambda data: resolver.unpack_answer(data, 7, HOST),
        ),
        Parser("time answer", TIMES, (sntp.Wrong, sntp.Kiss), lambda data: sntp.unpack_reply(data, NONCE)),
        Parser("flash", [bytes(range(0, 256))], FlashError, flash.mount),
    ]


class Files:
    def __init__(self, held=()):
        self._held = {FILE: json.dumps(OWN)}
        self._held.update(held)

    def read(self, name):
        """As boards/files.py does: what is no text is not there."""
        held = self._held.get(name)
        try:
            return str(held, "utf-8") if isinstance(held, bytes) else held
        except ValueError:
            return None

    def write(self, name, text):
        self._held[name] = text

    def remove(self, name):
        self._held.pop(name, None)


class Board:
    """Board and Node of a command."""

    def __init__(self, files):
        self.files = files
        self.store = kept.settings(self)

    def identify(self, seconds):
        assert 0 < seconds <= 600

    def sample_now(self):
        return True

    def restart(self, why):
        pass


class Station:
    """A radio that joins nothing."""

    def active(self, on):
        pass

    def config(self, reconnects):
        pass

    def isconnected(self):
        return False

    def connect(self, ssid, password):
        assert isinstance(ssid, str)

    def disconnect(self):
        pass


class Flash:
    """A log whose bytes rot: it always mounts, tells all seqs, and takes another reading."""

    def __init__(self):
        nor = Nor(3)
        outbox = Outbox(nor, lambda size: bytes(size), [("a", "Cel")])
        for number in range(1, 400):
            outbox.append(made_up(number))
        self._cells = bytes(nor.cells)

    def mount(self, data):
        nor = Nor(3, self._cells)
        for at in range(0, min(len(data), 90) - 2, 3):
            place = (data[at] << 8 | data[at + 1]) % nor.size
            if data[at] & 3 == 0:
                place = place % 200 + 4096 * (data[at + 1] % 3)  # headers and tables
            nor.rot(place, data[at + 2])
        outbox = Outbox(nor, lambda size: bytes(size), [("a", "Cel")])
        for _ in outbox.peek(outbox.freed + 1, 5):
            pass
        outbox.append(made_up(400))


def hear(line, data, doing):
    """Connect, and do something, while the broker says this."""
    line.said = data if doing == connecting else CONNACK + data
    line.link.pid = 0
    line.heard = b""
    line.limit = line.ms + 60000
    try:
        line.link.connect()
        doing(line.link)
    finally:
        line.link.drop()


def connecting(link):
    pass


def listening(link):
    while link.listen(1):
        pass


def publishing(link):
    link.publish("a", b"b", qos=1)


def subscribing(link):
    link.subscribe("thermograph/v1/fridge-1/ack")


def start(remote):
    """A start with this file, news, and the way back."""
    store = Store(Files({REMOTE: remote}))
    store.load()
    store.offer(b'{"revision": 2000000000, "broker": {"host": "other"}}')
    store.roll_back("no broker")


def take_settings(store, data):
    store.offer(data)
    if store.on_trial:
        store.roll_back("no broker")


def again(files, data, board):
    files.write(commands.FILE, data)
    commands.run(b'{"id": "8", "command": "sample"}', board, board)


def serve(portal, data):
    request = http.parse(data)
    if request is None:
        return
    portal._join, portal.saved = None, False
    _, pieces, _ = portal.answer(request)
    for piece in pieces() if pieces else ():
        assert isinstance(piece, bytes)


def fill_in(data):
    settings.checked(form.check(form.parse(data), OWN))


def golden_acks():
    with open(WIRE + "ack.json") as file:
        ack = json.dumps(json.load(file)["message"]).encode()
    return [ack, b'{"stream":"9f3a1c02","seq":0}', b"[" * 100]


def _packet(first, body):
    return bytes((first, len(body))) + body


_TOPIC = b"\0\x1bthermograph/v1/fridge-1/ack"
PACKETS = [
    b"\x20\x02\0\0", b"\x20\x02\0\5", b"\x40\x02\0\1", b"\x90\x03\0\1\0", b"\x90\x03\0\1\x80", b"\xd0\0",
    _packet(0x30, _TOPIC + b'{"stream":"9f3a1c02","seq":7}'),
    _packet(0x32, _TOPIC + b'\0\7{"stream":"9f3a1c02","seq":7}'),
    _packet(0x30, b"\0\1ax") + b"\x40\x02\0\1", b"\x30\x85\x01" + _TOPIC + b"x" * 104, b"\x40\x02\0\2\x40\x02\0\1",
]  # fmt: skip
SETTINGS = [
    json.dumps(one).encode() for one in (
        OWN, {"revision": 7, "interval": 30}, {"revision": 8, "broker": {"host": "other", "port": 8883}},
        {"revision": 9, "send": {"every": 5, "within": 60, "change": {"Cel": 0.5}}, "oversample": 3, "ntp": ["a:123"]},
        {"revision": 1 << 30, "device": "a", "sensors": [{"kind": "ds18b20", "id": "28ff641e8216c3a1"}],
         "battery": True,
         "pins": {"led": 2, "onewire": 4}, "dns": ["192.0.2.1:53"], "setup_password": "long-enough", "clock": "ntp"},
        {"revision": 10, "broker": {"tls": {"ca": "-----BEGIN CERTIFICATE-----\nMIIB\n", "host": "b"}}},
    )
]  # fmt: skip
REMOTES = [
    b'{"revision": 7, "fields": {"interval": 30, "broker": {"port": 1884}}}',
    b'{"revision": 9, "fields": {}, "trial": 3, "before": {"revision": 7, "fields": {"interval": 5}}}',
    b'{"revision": 0, "fields": {}, "refused": 8, "why": "revision 8 refused: interval"}',
]
COMMANDS = [
    b'{"id": "a1", "command": "identify", "seconds": 5}', b'{"id": 17, "command": "sample"}',
    b'{"id": "b", "command": "restart"}', b'{"id": "c", "command": "forget-wifi"}',
]  # fmt: skip
CRASHES = [b'{"in_a_row": 2, "entries": [{"t": 1763812345000, "tq": "ntp", "text": "OSError: 5 (node.py:9)"}]}']
FORMS = [
    b"network=home&hidden=&password=cold-secret&device=fridge-1&host=broker.example&port=1883&user=a&secret=b&token=t0k",
    b"network=&hidden=Caf%C3%A9+1&password=&device=Fridge-1&host=192.0.2.1&port=&user=&secret=&force=1&token=t0k",
]
_HEAD = b" HTTP/1.1\r\nHost: 192.168.4.1\r\nUser-Agent: CaptiveNetworkSupport\r\nAccept: */*\r\n"
REQUESTS = [
    b"GET /" + _HEAD + b"\r\n",
    b"GET /hotspot-detect.html HTTP/1.0\r\nHost: captive.apple.com\r\n\r\n", b"GET /scan" + _HEAD + b"\r\n",
    b"HEAD /status?x=1" + _HEAD + b"\r\n", b"GET http://connectivitycheck.gstatic.com/generate_204" + _HEAD + b"\r\n",
] + [b"POST /save" + _HEAD + b"Content-Length: %d\r\n\r\n" % len(one) + one for one in FORMS]  # fmt: skip
QUERY = b"\0\7\1\0\0\1\0\0\0\0\0\0\6broker\7example\0\0\1\0\1"
_ANSWER = b"\0\7\x81\x80\0\1\0\2\0\0\0\0" + QUERY[12:]
ANSWERS = [
    _ANSWER[:7] + b"\1" + _ANSWER[8:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1",
    _ANSWER + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1a\xc0\x13" + b"\1a\xc0\x13\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1",
    b"\0\7\x81\x83\0\1\0\0\0\0\0\0" + QUERY[12:],
]
_TIME = (
    b"\x24\2\6\xe8"
    + bytes(8)
    + b"\xc0\0\2\1"
    + bytes(8)
    + NONCE
    + b"\xec\xce\x12\x34\x80\0\0\0"
    + b"\xec\xce\x12\x34\x90\0\0\0"
)
TIMES = [_TIME, b"\x24\0" + _TIME[2:12] + b"RATE" + _TIME[16:]]
