"""What every answer carries: a request id, and headers that let a page load only what is ours."""

import re
import secrets

from flask import Flask, Response, g, request

# Another part's id is kept, so that one request has one name in all logs; never anything that could forge a line.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def register(app: Flask) -> None:
    @app.before_request
    def name_request() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.nonce = secrets.token_urlsafe(16)

    @app.context_processor
    def give_nonce() -> dict[str, str]:
        return {"nonce": g.nonce, "request_id": g.request_id}

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-ID"] = g.request_id
        response.headers["Content-Security-Policy"] = policy(g.nonce)
        if response.mimetype == "text/html":
            response.headers["Cache-Control"] = "no-store"
        return response


def policy(nonce: str) -> str:
    """Our own files only; data: images because pico's icons are written into its style sheet."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
