"""What keeps a board from its first reading: one class a stage, each with an exit code of its own.

BoardError
├── PortFailed          10  no board found, or its port cannot be opened
├── ChipFailed          11  nothing there answers, or it is a chip that we do not know
├── FlashFailed         12  MicroPython could not be got, is not what it should be, or could not be written
├── FilesystemFailed    13  the board's files could not be read or written, or it refuses its settings
├── WifiFailed          14  the board does not join the Wi-Fi
├── DnsFailed           15  the broker's name is not found
├── NetworkFailed       16  no connection to the broker's address and port
├── TlsFailed           17  the broker's certificate is not accepted
├── SignInFailed        18  the broker refuses the device
├── IngestFailed        19  the device sends, and the backend does not store or acknowledge
├── SensorFailed        20  the device samples nothing
├── StartFailed         21  the firmware does not start
└── MemoryFailed        22  the board's memory does not suffice: no wrong password, firewall or certificate
"""

from backend.errors import ThermographError


class BoardError(ThermographError):
    """evidence: what was seen, word for word; advice: what to do next."""

    stage = ""

    def __init__(self, message: str, advice: str, evidence: str = "") -> None:
        super().__init__(message, advice)
        self.evidence = evidence

    def __str__(self) -> str:
        seen = f"  seen: {self.evidence}\n" if self.evidence else ""
        return f"{self.stage}: {self.message}\n{seen}  {self.advice}"


class PortFailed(BoardError):
    stage, exit_code = "port", 10


class ChipFailed(BoardError):
    stage, exit_code = "chip", 11


class FlashFailed(BoardError):
    stage, exit_code = "flash", 12


class FilesystemFailed(BoardError):
    stage, exit_code = "filesystem", 13


class WifiFailed(BoardError):
    stage, exit_code = "Wi-Fi", 14


class DnsFailed(BoardError):
    stage, exit_code = "DNS", 15


class NetworkFailed(BoardError):
    stage, exit_code = "network", 16


class TlsFailed(BoardError):
    stage, exit_code = "TLS", 17


class SignInFailed(BoardError):
    stage, exit_code = "MQTT sign-in", 18


class IngestFailed(BoardError):
    stage, exit_code = "ingest", 19


class SensorFailed(BoardError):
    stage, exit_code = "sensor", 20


class StartFailed(BoardError):
    stage, exit_code = "start", 21


class MemoryFailed(BoardError):
    stage, exit_code = "memory", 22
