"""The pages of accounts: welcome, account, codes, keys, the admin site; and every page by every role."""

import re

import pyotp
import pytest
from sqlalchemy import select

from backend.accounts import access, keys, totp, users
from backend.accounts.actor import COMMAND, Role
from backend.accounts.tables import AuditRow
from backend.app import create_app
from backend.settings import Settings
from tests import signed_in
from tests.backend.test_accounts_access import PASSWORD, csrf_of, sign_in
from tests.rows import Rows

# What depends on the database is in test_accounts.py.
pytestmark = pytest.mark.sqlite_only

OTHER = "nine warm greenhouses"
# Addresses of all pages need values for what their rules name.
VALUES = {"name": "fridge-1", "filename": "icon.svg"}


@pytest.fixture
def make_app(database):
    made = []

    def make(**settings):
        made.append(create_app(Settings(password_memory=8, **settings), database))
        return made[-1]

    yield make
    for app in made:
        app.extensions["live"].close()


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def anna(app, database):
    with database.write() as connection:
        return users.add(connection, COMMAND, "anna", Role.ADMIN, app.extensions["access"].passwords.hash(PASSWORD))


@pytest.fixture
def client(app, anna):
    """Anna's browser. post() fills in the form's token."""
    client = app.test_client()
    assert sign_in(client).status_code == 303
    return client


def post(client, path, **data):
    return client.post(path, data={**data, "csrf_token": csrf_of(client.get("/account"))})


def first_account(client, name="anna", password=PASSWORD, **headers):
    token = csrf_of(client.get("/welcome"))
    form = {"name": name, "password": password, "again": password, "csrf_token": token}
    return client.post("/welcome", data=form, **headers)


def test_the_first_visitor_makes_the_admin_and_nobody_after(make_app, database):
    client = make_app(welcome="open").test_client()
    assert client.get("/sign-in").headers["Location"] == "/welcome"
    assert first_account(client, password="1234567890").status_code == 422
    assert first_account(client).headers["Location"] == "/"
    assert client.get("/admin/").status_code == 200
    assert client.get("/welcome").headers["Location"] == "/sign-in"
    with database.read() as connection:
        (user,) = users.everyone(connection)
    assert (user.name, user.role) == ("anna", Role.ADMIN)


@pytest.mark.parametrize(
    ("settings", "request_from"),
    [
        ({}, {}),
        ({"welcome": "open", "web_host": "0.0.0.0"}, {}),  # noqa: S104 - that is the point
        ({"welcome": "open", "web_proxy": "127.0.0.1"}, {}),
        ({"welcome": "open"}, {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}),
        ({"welcome": "open"}, {"headers": {"Host": "rebound.evil.example:8080"}}),
    ],
)
def test_otherwise_the_page_says_which_command_makes_the_first_account(make_app, settings, request_from):
    client = make_app(**settings).test_client()
    assert client.get("/welcome", **request_from).headers["Location"] == "/sign-in"
    assert "python -m backend account add NAME --role admin" in client.get("/sign-in", **request_from).text


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(app, client):
    other = app.test_client()
    sign_in(other)
    wrong = post(client, "/account/password", current="no", password=OTHER, again=OTHER)
    assert wrong.status_code == 401 and "do not belong together" in wrong.text
    assert post(client, "/account/password", current=PASSWORD, password=OTHER, again="else").status_code == 422
    assert post(client, "/account/password", current=PASSWORD, password=OTHER, again=OTHER).status_code == 303
    assert other.get("/account").status_code == 303
    assert client.get("/account").status_code == 200
    assert sign_in(app.test_client(), password=OTHER).headers["Location"] == "/"


def test_codes_are_turned_on_asked_for_and_turned_off(app, client, database):
    assert post(client, "/account/codes/start", current=PASSWORD).headers["Location"] == "/account/codes"
    page = client.get("/account/codes")
    assert "<svg" in page.text and "http" not in re.search(r"<svg[^>]*class=\"segno\".*?</svg>", page.text, re.DOTALL)[
        0
    ].replace("http://www.w3.org/2000/svg", "")
    secret = re.search(r"<code tabindex=\"0\">([A-Z2-7 ]+)</code>", page.text)[1].replace(" ", "")
    generator = pyotp.TOTP(secret)
    assert post(client, "/account/codes", code="000000").status_code == 422
    shown = post(client, "/account/codes", code=generator.at(users.now() // 1000 - 30))
    recovery = re.findall(r"<li><code>([a-z0-9-]+)</code>", shown.text)
    assert len(recovery) == 10

    browser = app.test_client()
    assert sign_in(browser, next="/alerts").headers["Location"] == "/sign-in/code?next=/alerts"
    assert browser.get("/account").status_code == 303, "half in is not in"
    form = {"csrf_token": csrf_of(browser.get("/sign-in/code?next=/alerts")), "next": "/alerts"}
    assert browser.post("/sign-in/code", data={**form, "code": "12"}).status_code == 401
    answer = browser.post("/sign-in/code", data={**form, "code": generator.now()})
    assert answer.headers["Location"] == "/alerts" and browser.get("/account").status_code == 200

    lost = app.test_client()
    sign_in(lost)
    form = {"csrf_token": csrf_of(lost.get("/sign-in/code")), "code": recovery[3]}
    assert lost.post("/sign-in/code", data=form).status_code == 303
    assert post(lost, "/account/codes/off", current="no").status_code == 401
    assert post(lost, "/account/codes/off", current=PASSWORD).status_code == 303
    with database.read() as connection:
        assert not users.find(connection, "anna").totp


def test_codes_cannot_be_tried_through(app, client, database):
    with database.write() as connection:
        user = users.find(connection, "anna")
        secret = totp.propose(connection, user)
        totp.confirm(connection, COMMAND, user, pyotp.TOTP(secret).now(), users.now())
    browser = app.test_client()
    sign_in(browser)
    token = csrf_of(browser.get("/sign-in/code"))
    answers = [browser.post("/sign-in/code", data={"csrf_token": token, "code": f"{i:06}"}) for i in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2


def test_sessions_are_listed_and_ended(app, client):
    other = app.test_client()
    sign_in(other)
    page = client.get("/account").text
    (action,) = re.findall(r'action="(/account/sessions/\d+/end)"', page)
    assert post(client, action).status_code == 303
    assert other.get("/account").status_code == 303
    assert post(client, action).status_code == 404
    assert post(client, "/account/sessions/end").status_code == 303
    assert client.get("/account").status_code == 303


def test_a_key_is_made_shown_once_used_and_revoked(app, client, database):
    page = post(client, "/account/keys", name="export <b>", scopes=["readings:read"], days="30")
    text = re.search(r"thermograph_[a-z0-9]+_[\w-]+", page.text)[0]
    assert "export &lt;b&gt;" in page.text and text not in client.get("/account").text
    bearer = {"Authorization": f"Bearer {text}"}
    assert app.test_client().get("/api/v1/devices", headers=bearer).status_code == 200
    assert "last used" in client.get("/account").text
    (action,) = re.findall(r'action="(/account/keys/\d+/revoke)"', client.get("/account").text)
    assert post(signed_in_as(app, "viewer"), action).status_code == 404, "another's key"
    assert post(client, action).status_code == 303
    assert app.test_client().get("/api/v1/devices", headers=bearer).status_code == 401
    assert post(client, "/account/keys", name="x", days="30").status_code == 422


def signed_in_as(app, role):
    return signed_in.client(app, role)


def test_the_admin_site_makes_changes_and_removes_accounts_and_notes_it(app, database):
    client = signed_in.admin(app)
    form = {"name": "ben", "role": "viewer", "places": "kitchen\ncellar", "password": "short"}
    assert "10 to 256" in client.post("/admin/users/new/", data=form).text
    assert client.post("/admin/users/new/", data={**form, "password": OTHER}).status_code == 302
    with database.read() as connection:
        ben = users.find(connection, "ben")
    assert (ben.role, ben.places) == (Role.VIEWER, {"kitchen", "cellar"})
    edit = f"/admin/users/edit/?id={ben.id}"
    assert "cellar\nkitchen" in client.get(edit).text.replace("\r\n", "\n")
    assert client.post(edit, data={"role": "operator", "places": "", "disabled": "y"}).status_code == 302
    with database.read() as connection:
        ben = users.find(connection, "ben")
    assert (ben.role, ben.places, ben.disabled_at is None) == (Role.OPERATOR, None, False)
    assert client.post(edit, data={"role": "operator", "disabled": "y", "new_password": PASSWORD}).status_code == 302
    with database.read() as connection:
        changed = users.find(connection, "ben").password
    assert app.extensions["access"].passwords.check(changed, PASSWORD)
    client.post("/admin/users/delete/", data={"id": ben.id})
    with database.read() as connection:
        assert users.find(connection, "ben") is None
        log = connection.execute(select(AuditRow.actor, AuditRow.action).where(AuditRow.subject == "account ben")).all()
    assert [row.action for row in log] == ["account.add", "account.change", "account.password", "account.remove"]
    (who,) = {row.actor for row in log}
    assert who.startswith("admin-")
    page = client.get("/admin/audit_log/?search=ben").text
    assert "account.remove" in page and OTHER not in page and "argon2" not in page


def test_the_admin_site_changes_devices_ends_sessions_and_revokes_keys(app, database):
    Rows(database).device("fridge-1")
    client = signed_in.admin(app)
    other = signed_in.viewer(app)
    with database.write() as connection:
        key, _ = keys.add(connection, COMMAND, 1, "x", ["readings:read"])
    form = {"label": "<b>Fridge</b>", "place": "kitchen", "note": "", "enrolled": "y"}
    assert client.post("/admin/devices/edit/?id=1", data=form).status_code == 302
    page = client.get("/admin/devices/").text
    assert "&lt;b&gt;Fridge" in page and "<b>Fridge" not in page
    client.post("/admin/sessions/delete/", data={"id": 2})
    assert other.get("/account").status_code == 303
    client.post("/admin/api_keys/delete/", data={"id": key.id})
    with database.read() as connection:
        assert keys.of_user(connection)[0].revoked_at
    for path in ("users", "sessions", "api_keys", "refresh_tokens", "devices", "alert_rules", "audit_log"):
        answer = client.get(f"/admin/{path}/")
        assert answer.status_code == 200, path
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|https?://(?!www\.w3\.org/)", answer.text), path
        assert set(re.findall(r"<script[^>]*src=\"([^\"]+)/[^/\"]+\"", answer.text)) <= {"/static/js"}
    client.csrf = False
    assert client.post("/admin/users/delete/", data={"id": 2}).status_code == 403
    for path in ("/admin/audit_log/delete/", "/admin/audit_log/new/", "/admin/audit_log/edit/?id=1"):
        client.csrf = True
        answer = client.post(path, data={"id": 1, "actor": "nobody"})
        assert answer.status_code in (302, 404, 405), path


def pages(app):
    """(rule, method) of everything that is no API, with the need that it declared."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/api/", "/healthz", "/readyz", "/metrics")):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield rule, method, access.check(app)[rule.endpoint]


def address(app, rule) -> str:
    values = {name: VALUES.get(name, 1) for name in rule.arguments}
    return app.url_map.bind("localhost").build(rule.endpoint, values, method=None, force_external=False)


def test_every_page_refuses_who_may_not(app, database):
    """One table, made of the app's own routes: a page that is added later is in it."""
    Rows(database).device("fridge-1")
    clients = {role: signed_in.client(app, role.word) for role in Role}
    key = {"Authorization": f"Bearer {signed_in.key(database, 'admin', ('readings:read',))}"}
    seen = 0
    for rule, method, need in pages(app):
        if need.role is None:
            continue
        seen += 1
        path = address(app, rule)
        stranger = app.test_client().open(path, method=method)
        assert (stranger.status_code, stranger.headers["Location"][:8]) == (303, "/sign-in"), (path, method)
        if need.scope is None:
            assert app.test_client().open(path, method=method, headers=key).status_code == 403, (path, method)
        for role, client in clients.items():
            if role < need.role:
                assert client.open(path, method=method).status_code == 403, (path, method, role)
            elif method == "GET":
                assert client.open(path, method=method).status_code != 403, (path, method, role)
            if method != "GET":
                client.csrf = False
                assert client.open(path, method=method).status_code == 403, (path, method, "no token")
                client.csrf = True
    assert seen > 40


def test_open_pages_are_those_that_have_to_be(app):
    found = {rule.endpoint for rule, _, need in pages(app) if need.role is None}
    assert found == {
        "static",
        "web.sign_in.show_form",
        "web.sign_in.check_password",
        "web.sign_in.show_code_form",
        "web.sign_in.check_code",
        "web.sign_in.sign_out",
        "web.welcome.show_welcome",
        "web.welcome.make_first_account",
    }


def test_a_device_of_another_place_is_not_there(app, database):
    rows = Rows(database)
    for name, place in (("fridge-1", "kitchen"), ("attic", "roof"), ("nowhere", None)):
        rows.device(name)
        rows.set_device(name, place=place)
    client = signed_in.viewer(app, {"kitchen"})
    body = client.get("/").text
    assert "fridge-1" in body and "attic" not in body and "nowhere" not in body
    for rule, method, need in pages(app):
        if method == "GET" and need.role is Role.VIEWER and rule.arguments == {"name"}:
            for name, status in (("attic", 404), ("nowhere", 404), ("no-such", 404)):
                path = app.url_map.bind("localhost").build(rule.endpoint, {"name": name})
                assert client.get(path).status_code == status, path
