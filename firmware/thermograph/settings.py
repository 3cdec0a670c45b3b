"""Settings: what a person may choose, checked once, with secrets that do not show.

README.md documents each field. A field that is not known is an error: it is a typo.
"""

import json

from .errors import SettingsError
from .sector import CHANNEL_LIMIT

_DEVICE = "abcdefghijklmnopqrstuvwxyz0123456789-"
_CLOCKS = ("ntp", "rtc", "none")


class Settings:
    """interval: s between samples; sensors: list of dicts, read by the board; send_every: s that readings may wait
    to share a message; state_every: s between health messages; patience: s without progress before readings are
    sent again; outbox_size: bytes; clock: time quality of the board's clock; revision: number of these settings."""

    def __init__(self, fields):
        """SettingsError names the field. fields: as json.loads gives them."""
        if not isinstance(fields, dict):
            raise SettingsError("settings must be an object")
        fields = dict(fields)
        self.device = _device(fields.pop("device", None))
        self.broker = Broker(fields.pop("broker", {}))
        self.interval = _number(fields, "interval", 60, 0.001, 86400)
        self.send_every = _number(fields, "send_every", 0, 0, 86400)
        self.state_every = _number(fields, "state_every", 60, 1, 86400)
        self.patience = _number(fields, "patience", 10, 0.1, 3600)
        self.outbox_size = _whole(fields, "outbox_size", 1048576, 3 * 4096, 1 << 30)
        if self.outbox_size % 4096:
            raise SettingsError("outbox_size must be a multiple of 4096, not %d" % self.outbox_size)
        self.revision = _whole(fields, "revision", 0, 0, 1 << 31)
        self.clock = fields.pop("clock", "ntp")
        if self.clock not in _CLOCKS:
            raise SettingsError("clock must be one of %s" % ", ".join(_CLOCKS))
        self.sensors = _sensors(fields.pop("sensors", None))
        _nothing_left(fields, "")

    def __repr__(self):
        return "Settings(device=%r, broker=%r, interval=%r, %d sensors)" % (
            self.device, self.broker, self.interval, len(self.sensors),
        )


class Broker:
    """host, port; user and password, or None; keepalive and timeout in s."""

    def __init__(self, fields):
        if not isinstance(fields, dict):
            raise SettingsError("broker must be an object")
        fields = dict(fields)
        self.host = _text(fields, "broker.host", "127.0.0.1")
        self.port = _whole(fields, "broker.port", 1883, 1, 65535)
        self.user = _text(fields, "broker.user", None)
        self.password = _text(fields, "broker.password", None)
        if (self.user is None) != (self.password is None):
            raise SettingsError("broker.user and broker.password go together")
        self.keepalive = _whole(fields, "broker.keepalive", 30, 2, 3600)
        self.timeout = _number(fields, "broker.timeout", 10, 0.1, 300)
        _nothing_left(fields, "broker.")

    def __repr__(self):
        return "Broker(host=%r, port=%d, user=%r, password=***)" % (self.host, self.port, self.user)


def load(text):
    """The Settings of a JSON text; SettingsError never quotes it, for it holds secrets."""
    try:
        return Settings(json.loads(text))
    except ValueError:
        raise SettingsError("settings are not JSON")


def _device(name):
    if not isinstance(name, str) or not 0 < len(name) <= 64 or any(c not in _DEVICE for c in name):
        raise SettingsError("device must be 1 to 64 of a-z, 0-9 and -")
    return name


def _sensors(items):
    if not isinstance(items, list) or not 0 < len(items) <= CHANNEL_LIMIT:
        raise SettingsError("sensors must be a list of 1 to %d objects" % CHANNEL_LIMIT)
    names = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
            raise SettingsError("sensors: each needs a kind")
        name = item.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= 32 or any(not "!" <= c <= "~" for c in name):
            raise SettingsError("sensors: each needs an id of 1 to 32 printable characters without spaces")
        if name in names:
            raise SettingsError("sensors: two have the id %s" % name)
        names.append(name)
    return items


def _text(fields, name, default):
    value = fields.pop(name.split(".")[-1], default)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= 256):
        raise SettingsError("%s must be a text of 1 to 256 characters" % name)
    return value


def _whole(fields, name, default, low, high):
    value = fields.pop(name.split(".")[-1], default)
    if type(value) is not int or not low <= value <= high:
        raise SettingsError("%s must be a whole number from %d to %d" % (name, low, high))
    return value


def _number(fields, name, default, low, high):
    value = fields.pop(name.split(".")[-1], default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise SettingsError("%s must be a number from %s to %s" % (name, low, high))
    return value


def _nothing_left(fields, prefix):
    for name in fields:
        raise SettingsError("%s%s is not a setting" % (prefix, name))
