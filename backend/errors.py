"""Every error the backend raises on purpose, in one tree.

    ThermographError
    ├── SettingsError            a setting is missing or wrong
    ├── MessageRejected          a device's message cannot be taken as a reading
    ├── NotFound                 a device, channel or object that does not exist
    ├── AlreadyThere             something that would have been overwritten
    ├── InputRefused             what somebody typed or sent cannot be taken
    ├── NotSignedIn              no credentials, or wrong ones
    ├── NotAllowed               right credentials that do not allow this
    ├── TooOften                 the same once more only after `wait` seconds
    ├── PortBusy                 a port that a service needs is taken
    ├── ServiceFailed            an embedded service did not start, or ended by itself
    ├── Unavailable              something outside did not answer; trying again may help
    │   ├── DatabaseUnavailable
    │   ├── BrokerUnavailable
    │   └── ObjectStoreUnavailable
    │       └── MissingOrForbidden  an object that is not there, or that these credentials may not read
    ├── DeliveryFailed           a mail or a webhook did not get through
    └── VerificationFailed       the archive and the database disagree

Each class carries the HTTP status that the API answers with and the exit code that a command ends with
(sysexits.h where it has a fitting one). `advice` says what to do next; `headers` go with the API's answer.
"""

import math


class ThermographError(Exception):
    status = 500
    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    @property
    def headers(self) -> dict[str, str]:
        return {}

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


class SettingsError(ThermographError):
    # In a request it is what somebody wants to set; the process's own settings were read before the first one.
    status = 422
    exit_code = 78


class MessageRejected(ThermographError):
    """A message that is not stored as readings.

    account: (stream, first, last) when the message at least says which readings it held, else None.
    """

    status = 400
    exit_code = 65

    def __init__(self, message: str, account: tuple[str, int, int] | None = None) -> None:
        super().__init__(message)
        self.account = account


class NotFound(ThermographError):
    status = 404
    exit_code = 66


class AlreadyThere(ThermographError):
    status = 409
    exit_code = 73


class InputRefused(ThermographError):
    status = 422
    exit_code = 65


class NotSignedIn(ThermographError):
    status = 401
    exit_code = 77

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="thermograph"'}


class NotAllowed(ThermographError):
    status = 403
    exit_code = 77


class TooOften(ThermographError):
    """wait: seconds after which the same may be tried again."""

    status = 429
    exit_code = 75

    def __init__(self, message: str, wait: float) -> None:
        self.wait = max(1, math.ceil(wait))
        super().__init__(message, f"Try again in {self.wait} s.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.wait)}


class PortBusy(ThermographError):
    exit_code = 71


class ServiceFailed(ThermographError):
    exit_code = 70


class Unavailable(ThermographError):
    status = 503
    exit_code = 69


class DatabaseUnavailable(Unavailable):
    pass


class BrokerUnavailable(Unavailable):
    pass


class ObjectStoreUnavailable(Unavailable):
    pass


class MissingOrForbidden(ObjectStoreUnavailable):
    """S3 says 403 for both to whoever may not list the bucket."""


class DeliveryFailed(ThermographError):
    """lasting: the same again would be refused again."""

    status = 502
    exit_code = 69

    def __init__(self, message: str, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class VerificationFailed(ThermographError):
    exit_code = 3
