"""The second factor: time-based codes (RFC 6238) and recovery codes. A code counts once."""

import hashlib
import secrets

import pyotp
from sqlalchemy import Connection, delete, insert, select, update

from ..errors import InputRefused
from . import audit
from .actor import Actor
from .tables import RecoveryCode, UserRow
from .users import User, by_id, subject

STEP = 30
# A phone's clock may be one step off.
WINDOW = 1
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def propose(connection: Connection, user: User) -> str:
    """A new secret, not in force until confirm(). Raises InputRefused while one is in force."""
    if user.totp:
        raise InputRefused("Codes are asked for already.", "Turn that off first.")
    secret = pyotp.random_base32()
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(totp_secret=secret))
    return secret


def proposed(connection: Connection, user_id: int) -> str | None:
    """The secret that waits for confirm()."""
    waiting = (UserRow.id == user_id, UserRow.totp_since.is_(None))
    return connection.scalar(select(UserRow.totp_secret).where(*waiting))


def address(secret: str, name: str) -> str:
    """What the QR code says: otpauth://, as authenticator apps read it."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=name, issuer_name="Thermograph")


def confirm(connection: Connection, actor: Actor, user: User, code: str, at: int) -> list[str]:
    """Put the proposed secret in force, with a first code of it. The recovery codes. Raises InputRefused."""
    if proposed(connection, user.id) is None or not _take_code(connection, user.id, code, at):
        raise InputRefused("This code is not the app's.", "Look at the clock of the phone, and try the next code.")
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(totp_since=at))
    audit.note(connection, actor, "account.totp", subject(user), user.fields(), by_id(connection, user.id).fields())
    return renew_recovery(connection, user.id)


def turn_off(connection: Connection, actor: Actor, user: User) -> None:
    values = {"totp_secret": None, "totp_since": None}
    connection.execute(update(UserRow).where(UserRow.id == user.id).values(values))
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    audit.note(connection, actor, "account.totp", subject(user), user.fields(), by_id(connection, user.id).fields())


def renew_recovery(connection: Connection, user_id: int) -> list[str]:
    """New recovery codes, shown this once; the old ones end."""
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    connection.execute(insert(RecoveryCode), [{"user_id": user_id, "hash": _digest(code)} for code in codes])
    return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]


def take(connection: Connection, user_id: int, code: str, at: int) -> bool:
    """Is it the app's code, or a recovery code that was not used? Either counts once."""
    code = "".join(code.split()).replace("-", "").lower()
    if code.isascii() and code.isdigit():
        return _take_code(connection, user_id, code, at)
    used = (RecoveryCode.user_id == user_id, RecoveryCode.hash == _digest(code))
    return connection.execute(delete(RecoveryCode).where(*used)).rowcount == 1


def _take_code(connection: Connection, user_id: int, code: str, at: int) -> bool:
    secret = connection.scalar(select(UserRow.totp_secret).where(UserRow.id == user_id))
    if secret is None:
        return False
    generator, step = pyotp.TOTP(secret, interval=STEP), at // 1000 // STEP
    found = [near for near in range(step - WINDOW, step + WINDOW + 1) if _is(generator, near, code)]
    if not found:
        return False
    # One statement decides: of two that come at once with the same code, one changes the row.
    fresh = (UserRow.id == user_id, UserRow.totp_step < found[-1])
    return connection.execute(update(UserRow).where(*fresh).values(totp_step=found[-1])).rowcount == 1


def _is(generator: pyotp.TOTP, step: int, code: str) -> bool:
    return pyotp.utils.strings_equal(generator.generate_otp(step), "".join(code.split()))


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
