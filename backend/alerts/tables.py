"""What alerts keep in SQL. Times are Unix ms UTC."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Id, Table


class AlertTarget(Table):
    """Whom to tell, and how. kind: one of targets.KINDS. secret: what a webhook is signed with.

    removed_at: nobody is told by it any more; it stays for the log of what was. test_outcome: of its last test.
    """

    __tablename__ = "alert_targets"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    address: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    created: Mapped[int] = mapped_column(BigInteger)
    removed_at: Mapped[int | None] = mapped_column(BigInteger)
    tested_at: Mapped[int | None] = mapped_column(BigInteger)
    test_outcome: Mapped[str | None] = mapped_column(Text)


class AlertRule(Table):
    """A rule over one channel, or over the health of one device. body: rule.Rule as JSON.

    targets, escalate_to: JSON lists of ids of alert_targets. escalate_after: ms without an acknowledgement after which
    those of escalate_to are told too; 0: never. changed: when it was made, or what it says was changed.
    """

    __tablename__ = "alert_rules"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channels.id"), index=True)
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    body: Mapped[str] = mapped_column(Text)
    targets: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    revision: Mapped[int]
    created: Mapped[int] = mapped_column(BigInteger)
    changed: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    escalate_after: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    escalate_to: Mapped[str] = mapped_column(String(255), default="[]", server_default="[]")


class AlertCheckpoint(Table):
    """A rule's memory after the last reading of a UTC day (Unix time in days), from which evaluation can go on.

    at: the time of that reading. memory: episodes.Watch as JSON.
    """

    __tablename__ = "alert_checkpoints"
    rule_id: Mapped[int] = mapped_column(ForeignKey("alert_rules.id"), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int]
    at: Mapped[int] = mapped_column(BigInteger)
    memory: Mapped[bytes] = mapped_column(LargeBinary)


class AlertMark(Table):
    """The readings of a stream up to seq have been evaluated by the rule."""

    __tablename__ = "alert_marks"
    rule_id: Mapped[int] = mapped_column(ForeignKey("alert_rules.id"), primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class EpisodeRow(Table):
    """One alert from start to end. withdrawn_at: late readings, or a changed rule, have shown that there was none.

    noticed_at: when it was found (now, not the readings' time). snoozes: how often somebody snoozed it; reminded: the
    number of the snooze after whose end the targets were told again. escalated_at: when further targets were told.
    """

    __tablename__ = "episodes"
    __table_args__ = (Index("episodes_by_rule", "rule_id", "start"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("alert_rules.id"))
    start: Mapped[int] = mapped_column(BigInteger)
    raised: Mapped[int] = mapped_column(BigInteger)
    ended: Mapped[int | None] = mapped_column(BigInteger)
    peak: Mapped[float | None]
    withdrawn_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str | None] = mapped_column(String(120))
    noticed_at: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    snoozed_until: Mapped[int | None] = mapped_column(BigInteger)
    snoozed_by: Mapped[str | None] = mapped_column(String(120))
    snoozes: Mapped[int] = mapped_column(default=0, server_default="0")
    reminded: Mapped[int] = mapped_column(default=0, server_default="0")
    escalated_at: Mapped[int | None] = mapped_column(BigInteger)


class HealthSample(Table):
    """What a device's `state` said when it came at t. outbox: how full, in percent; restarts: how many were seen."""

    __tablename__ = "health_samples"
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    t: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uptime: Mapped[int | None] = mapped_column(BigInteger)
    rssi: Mapped[int | None]
    free: Mapped[int | None] = mapped_column(BigInteger)
    outbox: Mapped[float | None]
    restarts: Mapped[int] = mapped_column(BigInteger)


class NoticeRow(Table):
    """One notification of an episode's phase to one target: at most one, ever.

    begun_at is written before a mail is handed over, done_at after it: one that was begun and never done may or may
    not have arrived, and is not sent again.
    """

    __tablename__ = "notices"
    __table_args__ = (UniqueConstraint("episode_id", "phase", "target_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    episode_id: Mapped[int] = mapped_column(ForeignKey("episodes.id"))
    phase: Mapped[str] = mapped_column(String(8))
    target_id: Mapped[int] = mapped_column(ForeignKey("alert_targets.id"))
    due: Mapped[int] = mapped_column(BigInteger, index=True)
    attempts: Mapped[int]
    begun_at: Mapped[int | None] = mapped_column(BigInteger)
    done_at: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str | None] = mapped_column(Text)
