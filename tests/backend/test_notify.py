"""Mail to a real SMTP server, webhooks to a real HTTP server; and hostile names, addresses and URLs."""

import hashlib
import hmac
import http.server
import json
import threading

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from backend.errors import DeliveryFailed, SettingsError
from backend.notify import mail, webhook
from backend.notify.notice import Notice
from backend.settings import Secret
from tests.ports import free_port

HOSTILE = "Fridge\r\nBcc: everybody@example.org\r\n\r\n<script>alert(1)</script>"
NOTICE = Notice(
    "e17-raised",
    "raised",
    "critical",
    "fridge-2",
    "28ff641e8216c3a1",
    "Fridge 2 is too warm",
    "11.2 °C for 14 minutes",
    "2026-11-23T10:00:00Z",
    "2026-11-23T10:14:00Z",
    "https://example.org/devices/fridge-2",
)


class Inbox:
    def __init__(self):
        self.messages = []
        self.refuse = ""

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        self.messages.append(envelope.content.decode())
        return "250 OK"


class Plain(Controller):
    def factory(self):
        return SMTP(self.handler, enable_SMTPUTF8=True)


@pytest.fixture
def inbox():
    inbox = Inbox()
    controller = Plain(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    inbox.server = mail.MailServer("127.0.0.1", controller.port, "thermograph@example.org", "", Secret(""), "none")
    yield inbox
    controller.stop()


@pytest.fixture
def hook():
    """An HTTP server: `answers` are the statuses it gives, one after the other; `got` is what came."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, dict(self.headers), body))
            self.send_response(server.answers.pop(0))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/hook?room=1"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_mail_arrives_as_it_was_meant(inbox):
    mail.send(inbox.server, NOTICE, "lab@example.org")
    (message,) = inbox.messages
    assert "Subject: Fridge 2 is too warm" in message
    assert "Message-ID: <e17-raised@example.org>" in message
    assert "Auto-Submitted: auto-generated" in message
    assert NOTICE.url in message


def test_a_hostile_name_adds_no_header(inbox):
    hostile = Notice(**{**NOTICE.__dict__, "title": HOSTILE, "device": HOSTILE})
    mail.send(inbox.server, hostile, "lab@example.org")
    head = inbox.messages[0].partition("\r\n\r\n")[0]
    assert "\nBcc:" not in head
    assert "text/plain" in head


@pytest.mark.parametrize(
    "address", ["", "lab", "a@b@c", "Lab <lab@example.org>", "lab@example.org\r\nBcc: x@y.z", "a b@c"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SettingsError):
        mail.check_address(address)


def test_a_refused_address_is_not_tried_again_and_a_full_mailbox_is(inbox):
    for refusal, lasting in (("550 no such user", True), ("452 mailbox full", False)):
        inbox.refuse = refusal
        with pytest.raises(DeliveryFailed) as caught:
            mail.send(inbox.server, NOTICE, "lab@example.org")
        assert caught.value.lasting is lasting
    assert inbox.messages == []


def test_a_dead_mail_server_is_tried_again():
    dead = mail.MailServer("127.0.0.1", free_port(), "thermograph@example.org", "", Secret(""), "none")
    with pytest.raises(DeliveryFailed) as caught:
        mail.send(dead, NOTICE, "lab@example.org")
    assert not caught.value.lasting


def test_no_password_goes_to_a_server_without_tls(inbox):
    careful = mail.MailServer("127.0.0.1", inbox.server.port, "t@example.org", "user", Secret("secret"))
    with pytest.raises(DeliveryFailed, match="STARTTLS"):
        mail.send(careful, NOTICE, "lab@example.org")
    assert inbox.messages == []


def test_a_webhook_is_signed_and_repeats_can_be_told(hook):
    hook.answers = [204]
    webhook.send(webhook.Webhook(hook.url, Secret("shared"), inside=True), NOTICE)
    ((path, headers, body),) = hook.got
    assert path == "/hook?room=1"
    assert json.loads(body)["title"] == NOTICE.title
    assert headers["Idempotency-Key"] == "e17-raised"
    stamp, _, digest = headers["Thermograph-Signature"].partition(",v1=")
    expected = hmac.new(b"shared", f"{stamp.removeprefix('t=')}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)


@pytest.mark.parametrize(("status", "lasting"), [(302, True), (404, True), (429, False), (500, False), (503, False)])
def test_an_answer_that_is_no_success(hook, status, lasting):
    hook.answers = [status]
    with pytest.raises(DeliveryFailed, match=str(status)) as caught:
        webhook.send(webhook.Webhook(hook.url, Secret("x"), inside=True), NOTICE)
    assert caught.value.lasting is lasting
    assert len(hook.got) == 1  # a redirect is not followed


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",  # 127.0.0.1 as one number, which some resolvers take
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # the metadata of an EC2 instance
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_an_address_inside_is_never_called(hook, host):
    with pytest.raises(DeliveryFailed) as caught:
        webhook.send(webhook.Webhook(f"http://{host}:{hook.server_port}/", Secret("x")), NOTICE)
    assert "inside" in caught.value.message
    assert hook.got == []


def test_a_name_that_leads_inside_and_outside_is_not_called(hook, monkeypatch):
    def both(_host, _port, **_more):
        return [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(webhook.socket, "getaddrinfo", both)
    with pytest.raises(DeliveryFailed, match="inside"):
        webhook.send(webhook.Webhook(f"http://rebind.example:{hook.server_port}/", Secret("x")), NOTICE)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@example.org/",
        "http://example.org:99999/",
        "http://example.org/\r\nX: y",
        "javascript:alert(1)",
        "http://example.org/" + "x" * 3000,
    ],
)
def test_what_is_no_url_to_call_is_refused_without_being_shown(url):
    with pytest.raises(SettingsError) as caught:
        webhook.check_url(url)
    assert "secret" not in caught.value.message
