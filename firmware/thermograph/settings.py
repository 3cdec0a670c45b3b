"""Settings: what a person may choose, checked once. Loaded for that moment.

README.md documents each field. A field that is not known is an error: it is a typo.
"""

import json

from .errors import SettingsError
from .sector import CHANNEL_LIMIT

_DEVICE = "abcdefghijklmnopqrstuvwxyz0123456789-"
_CLOCKS = ("ntp", "rtc", "none")
_PINS = ("onewire", "dht", "sda", "scl", "led", "button", "adc", "sck", "miso", "cs")


class Settings:
    """What was checked, and no more: it outlives this module, which a board lets go.

    device; broker: host, port, user and password (or None), keepalive and timeout in s, tls: None, or ca (PEM) and
    host; interval: s between samples; oversample: measurements for one of them; sensors: list of dicts, read by the
    board, [] for all it finds; send: every, within (s), change; state_every: s between health messages; patience: s
    without progress before readings are sent again; restart_after: s without a broker, or 0; outbox_size: bytes; clock:
    time quality of the board's clock; ntp: servers, or None for the board's own; dns: servers, [] for the network's
    own; networks: [{ssid, password}]; pins: {name: GPIO}; battery: sleep between samples; setup_password: of the set-up
    access point; revision: number of these settings."""


def checked(fields):
    """The Settings of these fields, which are as json.loads gives them. SettingsError names the field."""
    made, fields = Settings(), _object(fields, "settings")
    made.device = _device(fields.pop("device", None))
    made.broker = _broker(fields.pop("broker", {}))
    made.interval = _number(fields, "interval", 60, 0.001, 86400)
    made.oversample = _whole(fields, "oversample", 1, 1, 99)
    made.send = _send(fields.pop("send", {}))
    made.state_every = _number(fields, "state_every", 60, 1, 86400)
    made.patience = _number(fields, "patience", 10, 0.1, 3600)
    made.restart_after = _number(fields, "restart_after", 21600, 0, 604800)
    made.outbox_size = _whole(fields, "outbox_size", 1048576, 3 * 4096, 1 << 30)
    if made.outbox_size % 4096:
        raise SettingsError("outbox_size must be a multiple of 4096, not %d" % made.outbox_size)
    made.revision = _whole(fields, "revision", 0, 0, 1 << 31)
    made.clock = fields.pop("clock", "ntp")
    if made.clock not in _CLOCKS:
        raise SettingsError("clock must be one of %s" % ", ".join(_CLOCKS))
    made.sensors = _sensors(fields.pop("sensors", []))
    made.networks = _networks(fields.pop("networks", []))
    made.ntp = _servers(fields, "ntp", None, 4)
    made.dns = _servers(fields, "dns", [], 3)
    if any([c not in "0123456789.:" for server in made.dns for c in server]):
        raise SettingsError("dns: a server is an IPv4 address")
    made.pins = _pins(fields.pop("pins", {}))
    made.battery = fields.pop("battery", False)
    if not isinstance(made.battery, bool):
        raise SettingsError("battery must be true or false")
    made.setup_password = _text(fields, "setup_password", None)
    if made.setup_password is not None and not 8 <= len(made.setup_password) <= 63:
        raise SettingsError("setup_password must have 8 to 63 characters")
    _nothing_left(fields, "")
    return made


def _broker(fields):
    made, fields = Settings(), _object(fields, "broker")
    made.host = _text(fields, "broker.host", "127.0.0.1")
    tls = fields.pop("tls", None)
    made.tls = None if tls is None else _tls(tls, made.host)
    made.port = _whole(fields, "broker.port", 8883 if made.tls else 1883, 1, 65535)
    made.user = _text(fields, "broker.user", None)
    made.password = _text(fields, "broker.password", None)
    if (made.user is None) != (made.password is None):
        raise SettingsError("broker.user and broker.password go together")
    made.keepalive = _whole(fields, "broker.keepalive", 30, 2, 3600)
    made.timeout = _number(fields, "broker.timeout", 10, 0.1, 300)
    _nothing_left(fields, "broker.")
    return made


def _tls(fields, host):
    made, fields = Settings(), _object(fields, "broker.tls")
    made.ca = fields.pop("ca", None)
    if not isinstance(made.ca, str) or len(made.ca) > 8192 or not made.ca.startswith("-----BEGIN CERTIFICATE-----"):
        raise SettingsError("broker.tls.ca must be a certificate in PEM, of at most 8192 characters")
    made.host = _text(fields, "broker.tls.host", host)
    _nothing_left(fields, "broker.tls.")
    return made


def _send(fields):
    made, fields = Settings(), _object(fields, "send")
    made.every = _whole(fields, "send.every", 1, 1, 100000)
    made.within = _number(fields, "send.within", 3600, 0, 604800)
    made.change = fields.pop("change", None)
    limits = made.change if isinstance(made.change, dict) else {"": made.change}
    for limit in limits.values():
        if limit is not None and (type(limit) not in (int, float) or not 0 < limit < 1e9):
            raise SettingsError("send.change must be a number above 0, or one for each unit")
    _nothing_left(fields, "send.")
    return made


def load(text):
    """The Settings of a JSON text; SettingsError never quotes it, for it holds secrets."""
    try:
        return checked(json.loads(text))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise SettingsError("settings are not JSON")


def _object(fields, name):
    """A copy, of which each field is taken out."""
    if not isinstance(fields, dict):
        raise SettingsError("%s must be an object" % name)
    return dict(fields)


def _device(name):
    if not isinstance(name, str) or not 0 < len(name) <= 64 or any(c not in _DEVICE for c in name):
        raise SettingsError("device must be 1 to 64 of a-z, 0-9 and -")
    return name


def _sensors(items):
    if not isinstance(items, list) or len(items) > CHANNEL_LIMIT:
        raise SettingsError("sensors must be a list of at most %d objects" % CHANNEL_LIMIT)
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


def _networks(items):
    if not isinstance(items, list) or len(items) > 8:
        raise SettingsError("networks must be a list of at most 8 objects")
    known = []
    for item in items:
        if not isinstance(item, dict) or any(name not in ("ssid", "password") for name in item):
            raise SettingsError("networks: each has an ssid and a password")
        ssid, password = item.get("ssid"), item.get("password") or ""
        if not isinstance(ssid, str) or not 0 < len(ssid.encode()) <= 32:
            raise SettingsError("networks: an ssid has 1 to 32 bytes")
        if not isinstance(password, str) or (password and not 8 <= len(password) <= 64):
            raise SettingsError("networks: a password has 8 to 64 characters, or none")
        known.append({"ssid": ssid, "password": password})
    return known


def _servers(fields, name, default, most):
    items = fields.pop(name, default)
    if items is default:
        return default
    if not isinstance(items, list) or len(items) > most:
        raise SettingsError("%s must be a list of at most %d servers" % (name, most))
    for item in items:
        host, _, port = item.partition(":") if isinstance(item, str) else ("", "", "")
        if not 0 < len(host) <= 253 or any([not "!" <= c <= "~" for c in host]):
            raise SettingsError("%s: a server is HOST or HOST:PORT" % name)
        if ":" in item and not (port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
            raise SettingsError("%s: a port is a number from 1 to 65535" % name)
    return list(items)


def _pins(pins):
    if not isinstance(pins, dict):
        raise SettingsError("pins must be an object")
    for name, number in pins.items():
        if name not in _PINS:
            raise SettingsError("pins.%s is not a setting" % name[:32])
        if type(number) is not int or not 0 <= number <= 48:
            raise SettingsError("pins.%s must be a whole number from 0 to 48" % name)
    return dict(pins)


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
        raise SettingsError("%s%s is not a setting" % (prefix, name[:32]))
