"""Pages of a list: `limit`, an opaque `cursor`, and the next page's address in `Link` (RFC 8288)."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

from flask import request
from werkzeug.exceptions import BadRequest

Position = list[int | str]
T = TypeVar("T")


def page(
    found: Sequence[T], position_of: Callable[[T], Position], after: Position | None, limit: int
) -> tuple[list[T], Position | None]:
    """The page of a short list that is all there, by its position; and the position of its end, if more comes."""
    rest = [one for one in sorted(found, key=position_of) if after is None or position_of(one) > after]
    taken = rest[:limit]
    return taken, position_of(taken[-1]) if len(rest) > limit else None


def encode(position: Position | None) -> str | None:
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str | None, *kinds: type) -> Position | None:
    """The position that a cursor names. kinds: of its parts. Raises BadRequest for what no answer here gave."""
    if cursor is None:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        raise BadRequest(
            "This cursor is none that the API gave: follow the address in Link, or begin without a cursor."
        )
    if any(isinstance(part, int) and not 0 <= part < 2**63 for part in position):
        raise BadRequest("This cursor is none that the API gave.")
    return position


def links(position: Position | None, **fixed: object) -> dict[str, str]:
    """The header that leads to the next page of this very request; none at the end. fixed: parameters it must have."""
    cursor = encode(position)
    if cursor is None:
        return {}
    given = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor" and name not in fixed]
    query = urlencode([*given, *fixed.items(), ("cursor", cursor)])
    return {"Link": f'<{quote(request.path)}?{query}>; rel="next"'}
