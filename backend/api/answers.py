"""JSON answers with an entity tag, and the conditions that a request makes on it (RFC 9110, section 13)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from flask import Response, current_app, request
from werkzeug.exceptions import PreconditionFailed, PreconditionRequired
from werkzeug.http import parse_etags

from .shapes import Json

# What says when an answer was made, and not what it says.
VOLATILE = ("now",)


def tag(content: Any) -> str:
    """The tag of a value that JSON can hold: the same value has the same tag, in every process."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def tagged(body: Json, version: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """200 with the body and its tag, or 304 when the client has it already.

    version: the tag of the part that can be changed; it stands first in the whole's tag, so that a reading that came
    in between is no conflict (required()).
    """
    content = tag({name: value for name, value in body.items() if name not in VOLATILE})
    answer = json_body(body)
    answer.headers.update(headers or {})
    answer.set_etag(f"{version}.{content}" if version else content)
    # Private: what one account may see is no answer for another. no-cache: keep it, but ask.
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(request)
    return answer


def required(version: str) -> None:
    """Let the request go on only if its If-Match names what is there now.

    version: as it was given to tagged(), or the tag of the whole. Raises PreconditionRequired (428) where there is no
    If-Match, PreconditionFailed (412) where somebody else was faster.
    """
    text = request.headers.get("If-Match")
    if text is None:
        raise PreconditionRequired("Send If-Match with the ETag of what you read, or * to overwrite whatever is there.")
    given = parse_etags(text)
    if given.star_tag or any(one.split(".")[0] == version for one in given.as_set()):
        return
    raise PreconditionFailed("It was changed since you read it. Read it again, and decide again.")


def json_body(body: Json) -> Response:
    """200 with the body as JSON."""
    return cast(Response, current_app.json.response(body))


def created(body: Json, location: str) -> Response:
    """201 with what was made, and where it is."""
    answer = json_body(body)
    answer.status_code = 201
    answer.headers["Location"] = location
    answer.headers["Cache-Control"] = "no-store"
    return answer


def plain(body: Json) -> Response:
    """200, and true at this moment only."""
    answer = json_body(body)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def nothing() -> Response:
    """204: done, and there is nothing to say about it."""
    return Response(status=204)
