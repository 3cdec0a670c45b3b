"""The pages without a browser: what the server sends."""

import gzip
import json
import re

import pytest

from backend.app import create_app
from backend.settings import Settings
from tests import signed_in
from tests.rows import Rows, now


@pytest.fixture
def client(database):
    app = create_app(Settings(password_memory=8), database)
    yield signed_in.admin(app)
    app.extensions["live"].close()


def test_the_page_brings_the_state_with_it(client, database):
    rows = Rows(database)
    rows.device("fridge-1")
    rows.readings(rows.channel(), [(now(), 4.5)])
    page = client.get("/").text
    state = json.loads(re.search(r'id="state">(.*?)</script>', page, re.DOTALL)[1])
    assert state["devices"][0]["channels"][0]["newest"]["value"] == 4.5
    assert state["commit"] == 2


def test_hostile_text_stays_text(client, database):
    rows = Rows(database)
    rows.device("</script><script>alert(1)</script>", health='{"firmware": "<img src=x onerror=alert(1)>"}')
    page = client.get("/").text
    assert "<script>alert" not in page and "<img" not in page


def test_the_policy_lets_in_only_our_files(client):
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
    assert nonce != re.search(r"'nonce-([^']+)'", client.get("/").headers["Content-Security-Policy"])[1]
    for tag in re.findall(r"<script[^>]*>", answer.text):
        assert f'nonce="{nonce}"' in tag
    assert not re.search(r"\son\w+=|style=|https?://", re.sub(r'http://www\.w3\.org/\S+"', "", answer.text))


def test_text_is_compressed_for_who_takes_it(client):
    def get(**headers):
        return client.get("/static/vendor/pico.min.css", headers=headers, buffered=True)

    plain, packed = get(), get(**{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 5
    assert get(**{"If-None-Match": packed.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/static/../app.py", 404)])
def test_an_error_is_a_readable_page(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status and answer.mimetype == "text/html"
    assert "Not Found" in answer.text and answer.headers["X-Request-ID"] in answer.text
