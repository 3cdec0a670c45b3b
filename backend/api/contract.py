"""What an operation takes and gives, said once at the view: checked before it runs, and written into OpenAPI."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json"
WITH_BODY = ("POST", "PUT", "PATCH")


@dataclasses.dataclass(frozen=True)
class Contract:
    """gives, takes: media types. conditional: needs If-Match. idempotent: takes Idempotency-Key.

    body: JSON Schema of the body, where no schema of ours reads it.
    """

    gives: tuple[str, ...] = (JSON,)
    takes: tuple[str, ...] = ()
    conditional: bool = False
    idempotent: bool = False
    body: dict[str, Any] | None = None


def contract(**parts: Any) -> Callable[[View], View]:
    """A decorator; parts are those of Contract. A view without one gives JSON and takes no body."""

    def decorate(view: View) -> View:
        view.__dict__["contract"] = Contract(**parts)
        return view

    return decorate


def of(view: Callable[..., Any]) -> Contract:
    found = getattr(view, "contract", None)
    return found if isinstance(found, Contract) else Contract()


def check() -> None:
    """Before each request of the API. Raises NotAcceptable, UnsupportedMediaType."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:
        return
    agreed = of(view)
    if request.accept_mimetypes and not request.accept_mimetypes.best_match(agreed.gives):
        raise NotAcceptable(f"This is to be had as {', '.join(agreed.gives)}.")
    if request.method in WITH_BODY and agreed.takes and request.mimetype not in agreed.takes:
        raise UnsupportedMediaType(f"Send it as {', '.join(agreed.takes)}, and say so in Content-Type.")
