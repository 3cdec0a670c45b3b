"""python -m backend account, as it is typed."""

import json

import pytest
from click.testing import CliRunner

from backend.__main__ import main
from backend.accounts import users
from backend.accounts.passwords import Passwords
from backend.database import Database

PASSWORD = "seven cold fridges"


@pytest.fixture
def run(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/thermograph.db"
    monkeypatch.setenv("THERMOGRAPH_DATABASE", url)
    monkeypatch.setenv("THERMOGRAPH_PASSWORD_MEMORY", "8")
    database = Database(url)
    database.migrate()
    database.close()

    def run(*words: str, said: str | None = None):
        return CliRunner().invoke(main, ["account", *words], input=said)

    run.database = database
    return run


def user(run, name):
    with run.database.read() as connection:
        found = users.find(connection, name)
    run.database.close()
    return found


def test_the_life_of_an_account(run):
    typed = run("add", "Anna", "--role", "admin", said=f"{PASSWORD}\n{PASSWORD}\n")
    assert typed.exit_code == 0 and PASSWORD not in typed.output and "anna may sign in, as admin" in typed.output
    assert run("add", "ben", "--place", "kitchen", "--password-stdin", said=PASSWORD + "\n").exit_code == 0
    assert Passwords(8).check(user(run, "ben").password, PASSWORD)
    assert "kitchen" in run("list").output
    listed = json.loads(run("list", "--json").output)
    assert [(one["name"], one["role"], one["places"]) for one in listed] == [
        ("anna", "admin", None),
        ("ben", "viewer", ["kitchen"]),
    ]
    assert run("role", "ben", "operator", "--everywhere", "--disable").exit_code == 0
    assert (user(run, "ben").role.word, user(run, "ben").places, user(run, "ben").disabled_at is None) == (
        "operator",
        None,
        False,
    )
    assert run("reset-password", "ben", "--password-stdin", said="nine warm greenhouses\n").exit_code == 0
    assert Passwords(8).check(user(run, "ben").password, "nine warm greenhouses")
    assert run("remove", "ben", said="n\n").exit_code == 1
    assert run("remove", "ben", "--yes").exit_code == 0 and user(run, "ben") is None


def test_what_cannot_be_done_is_said_without_a_traceback(run):
    assert run("add", "anna", "--role", "admin", "--password-stdin", said=PASSWORD).exit_code == 0
    for words, said, code in (
        (("add", "anna", "--password-stdin"), PASSWORD, 73),
        (("add", "b b", "--password-stdin"), PASSWORD, 65),
        (("add", "ben", "--password-stdin"), "short", 65),
        (("remove", "anna", "--yes"), None, 73),
        (("role", "anna", "viewer"), None, 73),
        (("remove", "nobody", "--yes"), None, 66),
        (("keys", "--revoke", "nothing"), None, 65),
        (("keys", "anna", "--add", "x"), None, 65),
    ):
        answer = run(*words, said=said)
        assert answer.exit_code == code, (words, answer.output)
        assert "error: " in answer.output and "Traceback" not in answer.output


def test_keys_are_printed_once_and_revoked(run):
    run("add", "anna", "--role", "admin", "--password-stdin", said=PASSWORD)
    made = run("keys", "anna", "--add", "export", "--scope", "readings:read").output.strip()
    prefix = made.split("_")[1]
    listed = json.loads(run("keys", "--json").output)
    assert [(one["prefix"], one["account"], one["revoked"]) for one in listed] == [(prefix, "anna", None)]
    assert made not in run("keys").output
    assert run("keys", "--revoke", prefix).exit_code == 0
    assert "revoked" in run("keys", "anna").output
