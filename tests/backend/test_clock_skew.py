"""S3 refuses by its clock: said in a sentence, with by how much, and nothing lost."""

import email.utils
import http.server
import threading
import time

import pytest

from backend.errors import ObjectStoreUnavailable
from backend.objects import ObjectStore
from backend.settings import Settings


@pytest.fixture
def strict_s3():
    """An S3 server whose clock is an hour and a minute ahead, as every answer of it says."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return email.utils.formatdate(time.time() + 3660, usegmt=True)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_says_how_far_the_clocks_are_apart_and_what_to_do(strict_s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(ObjectStoreUnavailable) as told:
        ObjectStore(Settings(s3_endpoint=strict_s3, s3_bucket="archive")).put("key", b"body")
    behind = int(told.value.message.split("clock is ")[1].split(" s ")[0].replace(",", ""))
    assert 3600 < behind <= 3700
    assert "behind S3's" in told.value.message
    assert "timedatectl" in told.value.advice
