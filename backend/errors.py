"""Every error the backend raises on purpose, in one tree.

    ThermographError
    ├── SettingsError            a setting is missing or wrong
    ├── MessageRejected          a device's message cannot be taken as a reading
    ├── NotFound                 a device, channel or object that does not exist
    ├── AlreadyThere             something that would have been overwritten
    ├── PortBusy                 a port that a service needs is taken
    ├── ServiceFailed            an embedded service did not start, or ended by itself
    ├── Unavailable              something outside did not answer; trying again may help
    │   ├── DatabaseUnavailable
    │   ├── BrokerUnavailable
    │   └── ObjectStoreUnavailable
    ├── DeliveryFailed           a mail or a webhook did not get through
    └── VerificationFailed       the archive and the database disagree

Each class carries the HTTP status that the API answers with and the exit code that a command ends with
(sysexits.h where it has a fitting one). `advice` says what to do next.
"""


class ThermographError(Exception):
    status = 500
    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


class SettingsError(ThermographError):
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


class DeliveryFailed(ThermographError):
    """lasting: the same again would be refused again."""

    status = 502
    exit_code = 69

    def __init__(self, message: str, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class VerificationFailed(ThermographError):
    exit_code = 3
