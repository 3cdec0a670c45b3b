"""What alerts keep in SQL. Times are Unix ms UTC."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Id, Table


class AlertTarget(Table):
    """Whom to tell, and how. kind: "mail" or "webhook". secret: what a webhook is signed with."""

    __tablename__ = "alert_targets"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    address: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    created: Mapped[int] = mapped_column(BigInteger)


class AlertRule(Table):
    """A rule over one channel. body: rule.Rule as JSON. targets: JSON list of ids of alert_targets."""

    __tablename__ = "alert_rules"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    body: Mapped[str] = mapped_column(Text)
    targets: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    revision: Mapped[int]
    created: Mapped[int] = mapped_column(BigInteger)


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
    """One alert from start to end. withdrawn_at: late readings have shown that there was none."""

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
