"""gzip for text answers: a page over a phone's network is a third of the size."""

import gzip

from flask import Flask, Response, request

SMALLEST = 1_024
TYPES = ("text/html", "text/css", "text/javascript", "application/json", "image/svg+xml")


def register(app: Flask) -> None:
    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype not in TYPES:
            return response
        response.vary.add("Accept-Encoding")
        encoded = response.status_code != 200 or "Content-Encoding" in response.headers
        if encoded or not request.accept_encodings.quality("gzip"):
            return response
        response.direct_passthrough = False
        body = response.get_data()
        if len(body) >= SMALLEST:
            response.set_data(gzip.compress(body, 6, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
            tag, _ = response.get_etag()
            if tag:
                # The same tag for other bytes is only true as a weak one.
                response.set_etag(tag, weak=True)
        return response
