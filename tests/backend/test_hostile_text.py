"""Hostile names, notes and URLs stay text wherever they come out: pages, CSV, PDF, mail, webhook, Home Assistant."""

import csv
import io
import json
import re
import zlib
from email import message_from_string, policy
from html.parser import HTMLParser

import pytest
from sqlalchemy import update

from backend import report_csv, report_pdf
from backend.alerts import rules
from backend.alerts.engine import Engine
from backend.app import create_app
from backend.models import Channel, Device
from backend.notify import mail, mqtt
from backend.notify.notice import Notice
from backend.report import Asked, gather
from backend.settings import Settings
from backend.spreadsheet import BEGINNINGS
from tests import signed_in
from tests.backend.test_alerts_engine import WARM, minutes
from tests.rows import now

pytestmark = pytest.mark.sqlite_only

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE devices; --",
    "../../../../etc/passwd",
    '=HYPERLINK("http://evil.example","x")',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "-2+3",
    "\t=1+1",
    "Fridge\r\nBcc: everybody@evil.example",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "(x) Tj /JS (app.alert(1)) /S /JavaScript",
    "endstream endobj trailer",
    "\u202egnp.exe \ufeff\x00",
    "Kühlschrank 冷蔵庫",
]


def notice(text):
    return Notice("e1", "raised", "critical", text, text, text, text, "s", "a", name=text, rule=7)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_mail_has_the_headers_that_we_gave_it(text):
    composed = mail.compose(notice(text), "thermograph@example.org", "lab@example.org")
    found = message_from_string(composed.as_string(), policy=policy.default)
    assert "Bcc" not in found and found.get_content_type() == "text/plain" and not found.is_multipart()
    assert {name.lower() for name in found} <= {
        "from", "to", "subject", "message-id", "auto-submitted", "content-type", "content-transfer-encoding",
        "mime-version",
    }  # fmt: skip
    assert "\n" not in found["Subject"]


@pytest.mark.parametrize("text", HOSTILE)
def test_webhooks_and_home_assistant_get_json_that_holds_the_text(text):
    assert json.loads(notice(text).json())["title"] == text
    messages = mqtt.home_assistant("homeassistant", notice(text))
    assert [topic for topic, _, _ in messages] == [
        "homeassistant/binary_sensor/thermograph_rule_7/config",
        "thermograph/alerts/rule-7/attributes",
        "thermograph/alerts/rule-7/state",
    ]
    config = json.loads(messages[0][1])
    assert config["name"].isprintable() and config["unique_id"] == "thermograph_rule_7"
    # A template would be rendered; what comes as data is not.
    assert not any("template" in name for name in config)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, {name for name, _ in attributes}))


@pytest.fixture
def told(database, rows, channel):
    """told(text) makes the text the name of everything that has one, with an open episode; the device's name stays."""

    def name(text):
        shown = "".join(c for c in text if c.isprintable()) or "x"
        with database.write() as connection:
            connection.execute(
                update(Device).values(label=text.replace("\x00", "")[:100], place=shown[:60], note=shown)
            )
            connection.execute(update(Channel).values(sensor=shown[:64]))
            for entry in rules.rules(connection):
                rules.remove_rule(connection, entry.id)
            rules.add_rule(connection, shown[:120], channel, WARM, ())
        Engine(database).round(now())

    rows.readings(channel, minutes(5, 9, 9, 9, 9, start=now() - 600_000))
    return name


def test_pages_hold_the_text_and_no_tag_of_it(database, told):
    app = create_app(Settings(), database)
    client = signed_in.operator(app)
    for text in HOSTILE:
        told(text)
        for path in ("/alerts", "/alerts/rules/new", "/reports", "/archive"):
            answer = client.get(path)
            assert answer.status_code == 200, (path, text)
            tags = Tags()
            tags.feed(answer.text)
            assert not any(name.startswith("on") for _, names in tags.found for name in names), (path, text)
            assert "img" not in {tag for tag, _ in tags.found}
            nonces = re.findall(r"<script([^>]*)>", answer.text)
            assert all("nonce=" in attributes for attributes in nonces), (path, text)
            assert "49" not in re.findall(r"<h3>([^<]*)", answer.text)
    app.extensions["live"].close()


def made(database, text):
    asked = Asked("fridge-1", now() - 3_600_000, now(), text, 1_800_000_000_000)
    with database.read() as connection:
        return gather(connection, None, asked)


def test_a_report_as_csv_has_no_formula(database, told):
    for text in HOSTILE:
        told(text)
        table = report_csv.render(made(database, text)).decode()
        for line in csv.reader(io.StringIO(table)):
            assert len(line) == len(report_csv.HEAD)
            for cell in line:
                assert not cell.startswith(BEGINNINGS) or is_number(cell), (cell, text)


def is_number(cell):
    return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell) is not None


def streams(pdf):
    """By their stated lengths: compressed bytes may end as a line does, or hold the word that ends them."""
    for head in re.finditer(rb"/Length (\d+)\s*>>\s*stream\r?\n", pdf):
        body = pdf[head.end() : head.end() + int(head[1])]
        assert pdf[head.end() + len(body) :].lstrip().startswith(b"endstream")
        yield body


def test_a_report_as_pdf_draws_text_and_does_nothing(database, told):
    for text in HOSTILE:
        told(text)
        pdf = report_pdf.render(made(database, text))
        bare = re.sub(rb"stream\r?\n.*?endstream", b"", pdf, flags=re.DOTALL)
        strings = re.sub(rb"\((?:\\.|[^\\()])*\)", b"", bare)
        for word in (b"/JavaScript", b"/JS", b"/Launch", b"/URI", b"/OpenAction\n", b"/AA", b"/EmbeddedFile"):
            assert word not in strings, (word, text)
        drawn = b"".join(map(zlib.decompress, streams(pdf)))
        assert b"Excursion" in drawn and b" Tj" in drawn


def test_the_same_report_has_the_same_bytes(database, told):
    told("Fridge")
    one = made(database, "Ada")
    assert report_pdf.render(one) == report_pdf.render(one)
    assert report_csv.render(one) == report_csv.render(one)
