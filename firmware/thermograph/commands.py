"""Commands from afar: {"id": ..., "command": ..., ...}. Loaded when one comes. Each id is done once, restarts included:
a retained command comes again with every connection, and a broker may send one twice."""

import json

FILE = "commands.json"
_KEPT = 16  # ids
_LIMIT = 512  # bytes
_IDENTIFY = 10  # s


def run(payload, node, board):
    """Do it. What to tell people: (the id or None, text)."""
    id, name, fields = _parse(payload)
    if id is None:
        return None, "ignored: a command that is none"
    action = _ACTIONS.get(name)
    if action is None:
        return None, "ignored: a command that is not known"
    done = _done(board.files)
    if id in done:
        return None, "ignored: command %s was done before" % id
    # First the note, then the deed: a cut in between loses a command, which can be given again, but doubles none.
    done.append(id)
    board.files.write(FILE, json.dumps(done[-_KEPT:]))
    return id, "command %s: %s" % (id, action(fields, node, board))


def _identify(fields, node, board):
    seconds = fields.get("seconds", _IDENTIFY)
    if type(seconds) not in (int, float) or not 0 < seconds <= 600:
        seconds = _IDENTIFY
    board.identify(seconds)
    return "identify for %d s" % seconds


def _sample(fields, node, board):
    return "sample" if node.sample_now() else "no sample: one goes on, or safe mode"


def _restart(fields, node, board):
    node.restart("command")
    return "restart"


def _forget_wifi(fields, node, board):
    board.store.do("forget", "networks")
    node.restart("command")
    return "Wi-Fi networks forgotten"


_ACTIONS = {"identify": _identify, "sample": _sample, "restart": _restart, "forget-wifi": _forget_wifi}


def _parse(payload):
    """(id, name, fields), or Nones. An id is text of printable ASCII, or a number."""
    nothing = None, None, None
    if len(payload) > _LIMIT:
        return nothing
    try:
        fields = json.loads(str(payload, "utf-8"))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        return nothing
    if not isinstance(fields, dict):
        return nothing
    id, name = fields.get("id"), fields.get("command")
    if type(id) is int:
        id = str(id)
    if not isinstance(id, str) or not isinstance(name, str) or not 0 < len(id) <= 64:
        return nothing
    if any([not "!" <= c <= "~" for c in id]):
        return nothing
    return id, name, fields


def _done(files):
    try:
        done = json.loads(files.read(FILE) or "[]")
    except (ValueError, RuntimeError):
        return []
    return [id for id in done if isinstance(id, str)] if isinstance(done, list) else []
