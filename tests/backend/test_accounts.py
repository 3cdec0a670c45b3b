"""Accounts, keys, tokens, codes and the audit log in SQL."""

import time

import jwt
import pyotp
import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from backend.accounts import audit, keys, passwords, sign_in, tokens, totp, users
from backend.accounts.actor import COMMAND, Actor, Role
from backend.accounts.tables import ApiKey, AuditRow, RefreshToken, SigningKey, UserRow
from backend.errors import AlreadyThere, InputRefused, NotFound
from tests.signed_in import account, now

SECRET = "4 secrets nobody may read"


@pytest.fixture
def anna(database):
    return account(database, "admin", name="anna")


def log(database) -> list:
    with database.read() as connection:
        return connection.execute(select(AuditRow.__table__).order_by(AuditRow.id)).all()


def test_roles_and_places_decide():
    ben = Actor("key", 1, "ben", Role.OPERATOR, frozenset({"kitchen"}), frozenset({"readings:read"}))
    assert ben.may(Role.VIEWER) and ben.may(Role.OPERATOR) and not ben.may(Role.ADMIN)
    assert ben.sees("kitchen") and not ben.sees("cellar") and not ben.sees(None)
    assert ben.has("readings:read") and not ben.has("alerts:read") and not ben.has(None)
    assert COMMAND.sees(None) and COMMAND.has(None) and COMMAND.has("alerts:write")


@pytest.mark.every_database
@pytest.mark.parametrize("kind", ["update", "delete"])
def test_the_database_refuses_to_change_its_log(database, anna, kind):
    change = update(AuditRow).values(actor="somebody") if kind == "update" else delete(AuditRow)
    before = log(database)
    with pytest.raises(DBAPIError, match="only added to"), database.write() as connection:
        connection.execute(change)
    assert log(database) == before != []


def test_postgresql_refuses_to_empty_the_log_too(database, anna):
    if database.is_sqlite:  # MariaDB has no trigger for it: whoever may truncate there owns the table
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(DBAPIError, match="only added to"), database.write() as connection:
        connection.execute(text("TRUNCATE audit_log"))


def test_the_log_says_who_did_what_and_no_secret(database, anna):
    by = users.actor_of(anna, "session", credential="session 7")
    before = {"limit": 8, "target": {"webhook_secret": SECRET}, "people": ["ä" * 3000]}
    with database.write() as connection:
        audit.note(connection, by, "rule.change", "rule 7", before, {"password": SECRET, "limit": 9})
    row = log(database)[-1]
    assert (row.kind, row.actor, row.credential, row.action, row.subject) == (
        "session", "anna", "session 7", "rule.change", "rule 7",
    )  # fmt: skip
    assert SECRET not in row.before_json + row.after_json and '"limit": 9' in row.after_json
    assert len(row.before_json) < 2_300


def test_a_change_that_fails_leaves_no_note(database, anna):
    count = len(log(database))
    with pytest.raises(AlreadyThere), database.write() as connection:
        users.change(connection, COMMAND, anna, role=Role.VIEWER, places={"x"}, disabled=False)
    assert len(log(database)) == count


def test_the_last_admin_stays(database, anna):
    with database.write() as connection, pytest.raises(AlreadyThere, match="last admin"):
        users.remove(connection, COMMAND, anna)
    with database.write() as connection, pytest.raises(AlreadyThere, match="last admin"):
        users.change(connection, COMMAND, anna, role=Role.ADMIN, places=None, disabled=True)
    account(database, "admin", name="ben")
    with database.write() as connection:
        users.remove(connection, COMMAND, anna)
    with database.read() as connection:
        assert [user.name for user in users.everyone(connection)] == ["ben"]
    assert log(database)[-1].action == "account.remove"


def test_there_is_one_first_account(database):
    with database.write() as connection:
        first = users.add_first(connection, "Anna", "hash")
    with database.write() as connection, pytest.raises(AlreadyThere):
        users.add_first(connection, "eve", "hash")
    assert (first.name, first.role) == ("anna", Role.ADMIN)


@pytest.mark.parametrize("name", ["", "a b", "<script>", "ä", "x" * 65, "-x", "a\n"])
def test_names_are_plain(name):
    if name != "a\n":
        with pytest.raises(InputRefused):
            users.normal_name(name)
    else:
        assert users.normal_name(name) == "a"


@pytest.mark.parametrize("password", ["short", "1234567890", "aaaaaaaaaaaa", "annaannaanna", "x" * 257])
def test_easy_passwords_are_refused(password):
    with pytest.raises(InputRefused):
        passwords.check_choice(password, "anna")


def test_passwords_are_argon2id_and_strangers_cost_the_same_work():
    held = passwords.Passwords(8)
    kept = held.hash("caf\u00e9 and seven fridges")
    assert kept.startswith("$argon2id$") and "m=8,t=2" in kept
    assert held.check(kept, "cafe\u0301 and seven fridges"), "another keyboard's é"
    assert not held.check(kept, "seven fridges") and not held.check(None, "nobody has this password")
    assert passwords.Passwords(16).is_outdated(kept) and not held.is_outdated(kept)


def test_a_key_is_shown_once_and_kept_as_a_hash(database, anna):
    with database.write() as connection:
        key, shown = keys.add(connection, COMMAND, anna.id, "export", ["readings:read"])
    with database.read() as connection:
        kept = connection.execute(select(ApiKey.__table__)).one()
        assert shown not in str(kept) and shown.split("_")[-1] not in str(kept)
        assert keys.authenticate(connection, shown, now()) == key
        for wrong in (shown[:-1], shown + "A", "", "thermograph_", shown.replace(key.prefix, "a" * 10), "ä" * 60):
            assert keys.authenticate(connection, wrong, now()) is None
    with database.write() as connection, pytest.raises(NotFound):
        keys.revoke(connection, COMMAND, key.id, anna.id + 1)
    with database.write() as connection:
        keys.revoke(connection, COMMAND, key.id)
        assert keys.authenticate(connection, shown, now()) is None
    assert [row.action for row in log(database)][-2:] == ["key.add", "key.revoke"]
    assert shown not in str(log(database))


def test_a_key_has_scopes_and_an_end(database, anna):
    with database.write() as connection:
        for scopes in ([], ["everything"]):
            with pytest.raises(InputRefused):
                keys.add(connection, COMMAND, anna.id, "x", scopes)
        _, shown = keys.add(connection, COMMAND, anna.id, "x", ["readings:read"], expires=now() + 1000)
        assert keys.authenticate(connection, shown, now())
        assert keys.authenticate(connection, shown, now() + 1001) is None


def test_an_access_token_lives_a_quarter_of_an_hour(database, anna):
    with database.write() as connection:
        pair = tokens.issue(connection, anna, ["readings:read"], now())
        old = tokens.issue(connection, anna, None, now() - tokens.ACCESS_FOR - 1000)
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("thermograph", "thermograph-api", 900)
    with database.read() as connection:
        assert tokens.read(connection, pair.access).scopes == {"readings:read"}
        assert tokens.read(connection, old.access) is None


def test_a_forged_token_is_none(database, anna):
    with database.write() as connection:
        pair = tokens.issue(connection, anna, None, now())
        secret = connection.scalar(select(SigningKey.secret))
    kid = jwt.get_unverified_header(pair.access)["kid"]
    claims = jwt.decode(pair.access, options={"verify_signature": False})

    def signed(key=secret, algorithm="HS256", header=None, **more):
        text = {name: value for name, value in {**claims, **more}.items() if value is not None}
        return jwt.encode(text, key, algorithm=algorithm, headers=header or {"kid": kid})

    with database.read() as connection:
        assert tokens.read(connection, signed()) is not None
        forged = (
            signed(key=b"x" * 32), signed(key="", algorithm="none"), signed(algorithm="HS512", key=secret * 2),
            signed(aud="another"), signed(iss="another"), signed(exp=None), signed(exp=1), signed(jti=None),
            signed(header={"kid": "0000000000000000"}), signed(sub="x"), "a.b.c", "", "ä",
        )  # fmt: skip
        assert [tokens.read(connection, text) for text in forged] == [None] * len(forged)


def test_signing_keys_are_renewed_and_old_tokens_live_on(database, anna):
    with database.write() as connection:
        first = tokens.issue(connection, anna, None, now())
        tokens.rotate(connection, now() + 1)
        second = tokens.issue(connection, anna, None, now() + 2)
        assert jwt.get_unverified_header(first.access)["kid"] != jwt.get_unverified_header(second.access)["kid"]
        assert tokens.read(connection, first.access) and tokens.read(connection, second.access)
        tokens.rotate(connection, now() + tokens.ACCESS_FOR + 5_000)
        assert tokens.read(connection, first.access) is None
        assert tokens.read(connection, second.access)


@pytest.mark.every_database
def test_a_refresh_token_is_exchanged_once_and_a_stolen_one_ends_all(database, anna):
    with database.write() as connection:
        first = tokens.issue(connection, anna, ["readings:read"], now())
        second = tokens.exchange(connection, first.refresh, now())
        assert tokens.read(connection, second.access).scopes == {"readings:read"}
        kept = connection.scalars(select(RefreshToken.hash)).all()
        assert first.refresh not in kept and len(kept) == 2
    with database.write() as connection:
        assert tokens.exchange(connection, first.refresh, now()) is None
    with database.write() as connection:
        assert tokens.exchange(connection, second.refresh, now()) is None, "the family has ended"
        assert tokens.exchange(connection, "nonsense", now()) is None
    assert [row.action for row in log(database)].count("token.reuse") == 1


def test_a_refresh_token_ends_with_time_revocation_and_account(database, anna):
    with database.write() as connection:
        old = tokens.issue(connection, anna, None, now())
        assert tokens.exchange(connection, old.refresh, now() + tokens.REFRESH_FOR + 1) is None
        revoked = tokens.issue(connection, anna, None, now())
        tokens.revoke(connection, revoked.refresh, now())
        assert tokens.exchange(connection, revoked.refresh, now()) is None
        left = tokens.issue(connection, anna, None, now())
        connection.execute(update(UserRow).values(disabled_at=1))
        assert tokens.exchange(connection, left.refresh, now()) is None


@pytest.mark.every_database
def test_a_code_counts_once_and_recovery_codes_help_without_the_phone(database, anna):
    at = now()
    with database.write() as connection:
        secret = totp.propose(connection, anna)
        generator = pyotp.TOTP(secret)
        wrong = f"{(int(generator.at(at // 1000)) + 1) % 1_000_000:06}"
        with pytest.raises(InputRefused):
            totp.confirm(connection, COMMAND, anna, wrong, at)
        recovery = totp.confirm(connection, COMMAND, anna, generator.at(at // 1000 - 30), at)
        assert not totp.take(connection, anna.id, generator.at(at // 1000 - 30), at), "the same code again"
        assert totp.take(connection, anna.id, generator.at(at // 1000), at)
        assert not totp.take(connection, anna.id, generator.at(at // 1000), at)
        assert not totp.take(connection, anna.id, generator.at(at // 1000 + 600), at)
        assert len(set(recovery)) == 10
        assert totp.take(connection, anna.id, recovery[0].upper().replace("-", " "), at)
        assert not totp.take(connection, anna.id, recovery[0], at)
        assert users.by_id(connection, anna.id).totp
        assert secret not in str(connection.execute(select(AuditRow.__table__)).all())
        totp.turn_off(connection, COMMAND, users.by_id(connection, anna.id))
        assert not totp.take(connection, anna.id, recovery[1], at)


def test_addresses_are_counted_as_people_have_them():
    assert sign_in.network("192.0.2.7") == "192.0.2.7"
    assert sign_in.network("2001:db8:1:2:3:4:5:6") == sign_in.network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert sign_in.network("nonsense") == "unknown"


def test_a_row_without_its_account_cannot_be(database):
    with pytest.raises(DBAPIError), database.write() as connection:
        row = {
            "prefix": "p",
            "hash": "h",
            "user_id": 99,
            "name": "n",
            "scopes": "[]",
            "created": time.time_ns() // 10**6,
        }
        connection.execute(insert(ApiKey).values(row))
