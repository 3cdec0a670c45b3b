"""Who gets in: every page, by every role; sessions, CSRF, limits, over Flask's test client and a real database."""

import re

import pytest
from flask import Blueprint
from sqlalchemy import select, update

from backend.accounts import access, csrf, sessions, users
from backend.accounts.actor import COMMAND, Role
from backend.accounts.tables import AuditRow, SessionRow, UserRow
from backend.app import create_app
from backend.settings import Settings
from tests import signed_in

# What depends on the database is in test_accounts.py.
pytestmark = pytest.mark.sqlite_only

PASSWORD = "seven cold fridges"
SETTINGS = Settings(password_memory=8)


@pytest.fixture
def app(database):
    app = create_app(SETTINGS, database)
    yield app
    app.extensions["live"].close()


@pytest.fixture
def anna(app, database):
    with database.write() as connection:
        return users.add(connection, COMMAND, "anna", Role.ADMIN, app.extensions["access"].passwords.hash(PASSWORD))


def csrf_of(page) -> str:
    return re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)[1]


def sign_in(client, name="anna", password=PASSWORD, **more):
    token = csrf_of(client.get("/sign-in"))
    return client.post("/sign-in", data={"name": name, "password": password, "csrf_token": token, **more})


def actions(database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(AuditRow.action).order_by(AuditRow.id)))


def test_an_endpoint_that_says_nothing_stops_the_start(app):
    late = Blueprint("late", __name__)
    late.get("/late")(lambda: "x")
    app._got_first_request = False
    app.register_blueprint(late)
    with pytest.raises(RuntimeError, match=r"late\.<lambda>"):
        access.check(app)


def test_signing_in_and_out(app, anna, database):
    client = app.test_client()
    assert client.get("/").headers["Location"] == "/sign-in"
    answer = sign_in(client, next="/alerts")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts")
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("thermograph="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert client.get("/account").status_code == 200
    kept = client.get_cookie("thermograph").value
    client.post("/sign-out", data={"csrf_token": csrf.token(kept)})
    client.set_cookie("thermograph", kept)
    assert client.get("/account").headers["Location"] == "/sign-in?next=/account"
    assert actions(database)[-1] == "sign-in"


def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(database, anna):
    secure = create_app(Settings(password_memory=8, web_url="https://fridge.example.org"), database)
    answer = sign_in(secure.test_client())
    secure.extensions["live"].close()
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("__Host-thermograph="))
    assert "Secure" in cookie and "Domain" not in cookie


def test_a_stranger_and_a_wrong_password_get_the_same_answer(app, anna, database):
    answers = [sign_in(app.test_client(), name, "wrong password").text for name in ("anna", "nobody")]
    plain = [re.sub(r'value="[^"]*"|Request [0-9a-f]+|nonce="[^"]*"', "", page) for page in answers]
    assert plain[0] == plain[1] and "do not belong together" in plain[0]
    assert actions(database).count("sign-in.refused") == 2


def test_a_disabled_account_gets_nowhere(app, anna, database):
    client = app.test_client()
    sign_in(client)
    with database.write() as connection:
        connection.execute(update(UserRow).values(disabled_at=1))
    assert client.get("/account").status_code == 303
    assert sign_in(app.test_client()).status_code == 401


def test_signing_in_changes_the_session(app, anna):
    client = app.test_client()
    sign_in(client)
    first = client.get_cookie("thermograph").value
    assert client.get("/sign-in").status_code == 303
    # Whoever prepared a cookie in somebody's browser does not know the one that counts after sign-in.
    client.post("/sign-in", data={"name": "anna", "password": PASSWORD, "csrf_token": csrf.token(first)})
    second = client.get_cookie("thermograph").value
    assert second != first
    client.set_cookie("thermograph", first)
    assert client.get("/account").status_code == 303


@pytest.mark.parametrize("column", ["created", "seen"])
def test_sessions_end_by_themselves(app, anna, database, column):
    client = app.test_client()
    sign_in(client)
    hours = SETTINGS.session_longest if column == "created" else SETTINGS.session_idle
    at = users.now() - int(hours * sessions.HOUR) - 1000
    with database.write() as connection:
        connection.execute(update(SessionRow).values({column: at}))
    assert client.get("/account").status_code == 303


def test_a_form_of_another_site_changes_nothing(app, database):
    client = signed_in.admin(app)
    client.csrf = False
    assert client.post("/account/sessions/end").status_code == 403
    assert client.post("/account/sessions/end", data={"csrf_token": "0" * 64}).status_code == 403
    right = {"X-CSRF-Token": client.cookie.token}
    for header in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert client.post("/account/sessions/end", headers={**right, **header}).status_code == 403
    assert client.get("/account").status_code == 200
    own = {**right, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/account/sessions/end", headers=own).status_code == 303
    assert client.get("/account").status_code == 303


def test_a_sign_in_form_of_another_site_signs_nobody_in(app, anna):
    answer = app.test_client().post("/sign-in", data={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 403 and "thermograph=" not in str(answer.headers)


def test_guessing_is_slowed_down_by_account_and_told_when_to_come_back(app, anna):
    client = app.test_client()
    answers = [sign_in(client, password="guess number x") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 300
    assert sign_in(client).status_code == 429


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example"]
)
def test_nobody_is_sent_to_another_site(app, anna, place):
    assert sign_in(app.test_client(), next=place).headers["Location"] == "/"


def test_programs_need_a_key_with_the_right_scope(app, database):
    client = app.test_client()
    answer = client.get("/api/v1/devices")
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.mimetype == "application/problem+json"

    def get(path, text):
        return client.get(path, headers={"Authorization": f"Bearer {text}"}).status_code

    right = signed_in.key(database, "viewer", ("readings:read",))
    assert get("/api/v1/devices", right) == 200
    assert get("/api/v1/rules", right) == 403
    assert get("/account", right) == 403, "pages are for people"
    assert get("/api/v1/devices", right[:-1] + ("A" if right[-1] != "A" else "B")) == 401
    token = signed_in.token(database, "viewer")
    assert get("/api/v1/devices", token) == 200
    assert get("/api/v1/devices", token[:-3] + "AAA") == 401


def test_a_wrong_key_does_not_fall_back_to_the_cookie(app):
    client = signed_in.admin(app)
    assert client.get("/api/v1/devices", headers={"Authorization": "Bearer thermograph_nonsense"}).status_code == 401


def test_an_account_may_ask_the_api_only_so_often(database):
    app = create_app(Settings(password_memory=8, api_rate=3), database)
    client = signed_in.viewer(app)
    answers = [client.get("/api/v1/devices") for _ in range(4)]
    app.extensions["live"].close()
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert client.get("/account").status_code == 200


def test_health_needs_neither_an_account_nor_the_database(app, database):
    assert app.test_client().get("/healthz", headers={"Cookie": "thermograph=x"}).status_code == 200
