"""A POST that is sent twice is done once: `Idempotency-Key`, kept with its answer for a day.

Change and answer are one transaction. So there is no "under way" to wait for: killed before the commit, nothing was
done; after it, the answer is there.
"""

import hashlib
import json
import re
from collections.abc import Callable

from flask import Response, request
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import BadRequest, Conflict, UnprocessableEntity

from ..accounts import access
from ..database import Database
from . import shapes
from .tables import AnsweredRequest

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,128}")
KEPT_FOR = 24 * 3_600_000
KEPT_HEADERS = ("Location", "ETag", "Content-Type")


def once(database: Database, work: Callable[[Connection], Response], secret: bool = False) -> Response:
    """The answer of `work` on a transaction of its own; or, to a key that was answered before, that answer again.

    secret: the answer shows something that is shown once; then a second request learns only that it was done.
    Raises UnprocessableEntity for a key that came with another body, and what `work` raises: then nothing is kept.
    """
    key = request.headers.get(HEADER)
    if key is not None and not KEY.fullmatch(key):
        raise BadRequest(f"{HEADER} takes 1 to 128 visible ASCII characters, a UUID for example.")
    try:
        return _transact(database, work, key, secret)
    except IntegrityError:
        if key is None:
            raise
        # The same request came twice at a time, and the other one was faster: now its answer is there.
        return _transact(database, work, key, secret)


def _transact(database: Database, work: Callable[[Connection], Response], key: str | None, secret: bool) -> Response:
    with database.write() as connection:
        if key is None:
            return work(connection)
        if found := _find(connection, key):
            return found
        answer = work(connection)
        _keep(connection, key, answer, secret)
        return answer


def _find(connection: Connection, key: str) -> Response | None:
    connection.execute(delete(AnsweredRequest).where(AnsweredRequest.answered_at < shapes.now() - KEPT_FOR))
    row = connection.execute(
        select(AnsweredRequest).where(AnsweredRequest.account == _account(), AnsweredRequest.key == key)
    ).one_or_none()
    if row is None:
        return None
    if row.digest != _digest():
        raise UnprocessableEntity(f"This {HEADER} came before, with another request. Each request needs its own.")
    if row.body is None:
        raise Conflict("This was done before, and its secret was shown then, once. Remove it and make another.")
    return Response(row.body, row.status, {**json.loads(row.headers), "Idempotency-Replayed": "true"})


def _keep(connection: Connection, key: str, answer: Response, secret: bool) -> None:
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    row = {
        "account": _account(),
        "key": key,
        "digest": _digest(),
        "status": answer.status_code,
        "headers": json.dumps(headers),
        "body": None if secret else answer.get_data(as_text=True),
        "answered_at": shapes.now(),
    }
    connection.execute(insert(AnsweredRequest).values({getattr(AnsweredRequest, k): v for k, v in row.items()}))


def _account() -> str:
    actor = access.actor()
    return f"{actor.kind}:{actor.id}"


def _digest() -> str:
    whole = f"{request.method} {request.full_path}\n".encode() + request.get_data()
    return hashlib.sha256(whole).hexdigest()
