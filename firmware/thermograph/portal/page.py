"""The portal's pages, in pieces: a whole page is never in memory. Plain HTML, no script; under 4 KB. Pure."""

_NETWORKS = 8
_STYLE = (
    "body{font:16px/1.4 system-ui,sans-serif;max-width:26rem;margin:0 auto;padding:1rem;color:#123;background:#f6f8fa}"
    "h1{font-size:1.3rem}h1 small{font-weight:400;color:#567}label{display:block;margin:.7rem 0}"
    "input,select,button{font:inherit;box-sizing:border-box;width:100%;padding:.6rem;border:1px solid #9ab;"
    "border-radius:.4rem;background:#fff;color:inherit}label.c input{width:auto;margin-right:.5rem}"
    "button{background:#065f46;color:#fff;border:0;font-weight:600;margin-top:.5rem}"
    ".e{background:#fde8e8;border-left:4px solid #b91c1c;padding:.6rem}small{color:#456}"
)


def escape(text):
    """Safe between tags and within quotes."""
    for plain, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(plain, safe)
    return text


def form(name, token, networks, values, trouble=None):
    """Yield the pieces, bytes, of the form. networks: [(ssid, dBm)], best first; values: {field: text} to show; of
    the secrets none is ever among them. trouble: what was wrong, in words."""
    yield _top(name)
    if trouble:
        yield ('<p class="e" role="alert">%s</p>' % escape(trouble)).encode()
    yield b'<form method="post" action="/save" accept-charset="utf-8">'
    yield ('<input type="hidden" name="token" value="%s">' % token).encode()
    yield b'<label>Wi-Fi network<select name="network">'
    chosen = values.get("network", "")
    if not networks:
        yield b'<option value="">none found: give its name below</option>'
    for ssid, dbm in networks[:_NETWORKS]:
        mark = " selected" if ssid == chosen else ""
        safe = escape(ssid)
        yield ('<option value="%s"%s>%s (%s)</option>' % (safe, mark, safe, strength(dbm))).encode()
    yield b"</select></label>"
    yield _field("hidden", "or its name, if it is hidden", values, 'maxlength="32" autocapitalize="none"')
    yield _secret("password", "Wi-Fi password", values.get("has_password"))
    yield _field("host", "Broker, name or address", values, 'required autocapitalize="none"')
    yield _field("port", "Port", values, 'inputmode="numeric" maxlength="5"')
    yield _field("user", "Broker user", values, 'autocapitalize="none" autocomplete="off"')
    yield _secret("secret", "Broker password", values.get("has_secret"))
    yield _field("device", "Name of this device <small>(a-z, 0-9, -)</small>", values, 'required autocapitalize="none"')
    yield b'<label class="c"><input type="checkbox" name="force" value="1">Save even if the network'
    yield b' cannot be joined now</label><button>Save</button></form><p><a href="/scan">Look for networks again</a></p>'


def wait(name, ssid):
    """Yield the pieces of the page that asks again every 3 s."""
    yield _top(name, '<meta http-equiv="refresh" content="3;url=/status">')
    yield ("<p>Trying to join <b>%s</b>. This takes up to 20 seconds." % escape(ssid)).encode()
    yield b' If this phone loses the network meanwhile, join it again and <a href="/status">look here</a>.</p>'


def done(name, ssid):
    """Yield the pieces of the last page."""
    yield _top(name)
    yield ("<p><b>Saved.</b> %s now restarts, joins <b>%s</b> and begins to send." % (name, escape(ssid))).encode()
    yield b" This network ends; you can close this page.</p>"


def strength(dbm):
    return "strong" if dbm >= -60 else "good" if dbm >= -72 else "weak"


def _top(name, more=""):
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">%s'
        "<title>%s</title><style>%s</style></head><body><h1>Thermograph <small>%s</small></h1>"
        % (more, name, _STYLE, name)
    ).encode()


def _field(name, label, values, more):
    shown = escape(values.get(name, ""))
    return ('<label>%s<input name="%s" value="%s" %s></label>' % (label, name, shown, more)).encode()


def _secret(name, label, kept):
    hint = ' placeholder="kept, if left empty"' if kept else ""
    return ('<label>%s<input type="password" name="%s"%s autocomplete="off"></label>' % (label, name, hint)).encode()
