"""What the API keeps in SQL. Times are Unix ms UTC."""

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Table


class AnsweredRequest(Table):
    """A POST that was answered, by the account that made it and its Idempotency-Key.

    digest: SHA-256 of method, address and body. body: what was answered; null where it held a secret.
    """

    __tablename__ = "answered_requests"
    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    key: Mapped[str] = mapped_column("idempotency_key", String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(Integer)
    headers: Mapped[str] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    answered_at: Mapped[int] = mapped_column(BigInteger, index=True)
