"""Where everything lies."""

import dataclasses
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
# Tools are the machine's, not a run's: every state folder shares them, and `make setup` knows no state folder.
TOOLS = ROOT / "var" / "tools"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The state folder of one run. Delete it, and the next run starts from nothing."""

    state: Path

    @property
    def lock(self) -> Path:
        return self.state / "run.lock"

    @property
    def credentials(self) -> Path:
        return self.state / "credentials.json"

    @property
    def environment(self) -> Path:
        return self.state / "environment.json"

    @property
    def database(self) -> Path:
        return self.state / "thermograph.db"

    @property
    def broker(self) -> Path:
        return self.state / "broker"

    @property
    def objects(self) -> Path:
        return self.state / "s3"

    def device(self, name: str) -> Path:
        return self.state / "devices" / name

    def log(self, service: str) -> Path:
        return self.state / "log" / f"{service}.log"
