"""What the portal's form sends, and what becomes of it. Pure; any bytes may come."""

FIELDS = ("network", "hidden", "password", "device", "host", "port", "user", "secret", "force", "token")
_LIMIT = 256  # bytes of one field
_PAIRS = 24
_KNOWN_NETWORKS = 8


class FormError(Exception):
    """Its text is for the person at the form."""


def parse(body):
    """{field: text} of an application/x-www-form-urlencoded body; what is not in FIELDS is left out. FormError."""
    fields = {}
    pairs = body.split(b"&")
    if len(pairs) > _PAIRS:
        raise FormError("The form has too many fields.")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        name = _text(name)
        if name in FIELDS:
            fields[name] = _text(value)
    return fields


def check(fields, known):
    """The settings that this form asks for, made from those that are known (both not changed). FormError.

    A password left empty stays what it was, for the same network or the same user at the same broker."""
    wanted = dict(known)
    wanted["networks"] = _networks(fields, known.get("networks") or [])
    wanted["broker"] = _broker(fields, known.get("broker") or {})
    wanted["device"] = fields.get("device", "").strip().lower()
    if not wanted["device"]:
        raise FormError("The device needs a name.")
    return wanted


def _networks(fields, known):
    """The one asked for comes first; those that were known stay."""
    ssid = fields.get("hidden", "").strip() or fields.get("network", "")
    if not ssid:
        raise FormError("Choose a Wi-Fi network, or give its name.")
    if len(ssid.encode()) > 32:
        raise FormError("A Wi-Fi name has at most 32 bytes.")
    password = fields.get("password", "")
    if not password:
        password = "".join([one.get("password", "") for one in known if one["ssid"] == ssid][:1])
    elif not 8 <= len(password.encode()) <= 64:
        raise FormError("A Wi-Fi password has 8 to 63 characters.")
    first = [{"ssid": ssid, "password": password}]
    others = [one for one in known if one["ssid"] != ssid]
    return first + others[: _KNOWN_NETWORKS - 1]


def _broker(fields, known):
    host = fields.get("host", "").strip()
    if not host or any([not "!" <= c <= "~" for c in host]):
        raise FormError("The broker needs a host name or an address.")
    port = fields.get("port", "").strip() or "1883"
    if not all(["0" <= c <= "9" for c in port]) or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise FormError("The broker's port is a number from 1 to 65535.")
    user, secret = fields.get("user", ""), fields.get("secret", "")
    same = host == known.get("host") and user == known.get("user")
    if not secret and same:
        secret = known.get("password") or ""
    if (user == "") != (secret == ""):
        raise FormError("The broker's user and password go together.")
    broker = dict(known)
    broker.update({"host": host, "port": int(port), "user": user or None, "password": secret or None})
    return broker


def _text(data):
    """Percent-decoded UTF-8 without control characters."""
    if len(data) > 3 * _LIMIT:
        raise FormError("A field is too long.")
    plain = bytearray()
    at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if byte == 0x2B:
            byte = 0x20
        elif byte == 0x25:
            high, low = _digit(data, at), _digit(data, at + 1)
            byte = high << 4 | low
            at += 2
        if byte < 0x20 or byte == 0x7F:
            raise FormError("A field has a character that cannot be used.")
        plain.append(byte)
    if len(plain) > _LIMIT:
        raise FormError("A field is too long.")
    try:
        return str(bytes(plain), "utf-8")
    except UnicodeError:
        raise FormError("A field is not UTF-8.")


def _digit(data, at):
    place = b"0123456789abcdef".find(bytes(data[at : at + 1]).lower()) if at < len(data) else -1
    if place < 0:
        raise FormError("A field is not encoded as a form's should be.")
    return place
