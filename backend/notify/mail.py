"""Mail, by SMTP (RFC 5321) with STARTTLS or TLS from the start."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr

from ..errors import DeliveryFailed, SettingsError
from ..settings import Secret
from .notice import Notice

TIMEOUT = 20.0


@dataclass(frozen=True)
class MailServer:
    """user: "" for none. security: "starttls", "tls", or "none" (for a server on this machine only)."""

    host: str
    port: int
    sender: str
    user: str
    password: Secret
    security: str = "starttls"


def check_address(address: str) -> str:
    """The address, if it is one plain mail address. Raises SettingsError."""
    name, found = parseaddr(address)
    if name or found != address or address.count("@") != 1 or any(c.isspace() or ord(c) < 33 for c in address):
        raise SettingsError(f"{address!r} is no mail address.", "Write it as name@example.org.")
    return address


def compose(notice: Notice, sender: str, to: str) -> EmailMessage:
    """The message. Its Message-ID is the notice's: a mail program shows a repeated one once."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = check_address(to)
    # A subject is one line: what a device calls itself must not add headers.
    message["Subject"] = " ".join(notice.title.split())[:200]
    message["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2] or 'thermograph'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office reply
    lines = [notice.text, "", f"Device: {notice.device}", f"Sensor: {notice.sensor}", f"Since: {notice.start}"]
    if notice.url:
        lines += ["", notice.url]
    message.set_content("\n".join(lines))
    return message


def send(server: MailServer, notice: Notice, to: str) -> None:
    """Raises DeliveryFailed; `lasting` when another try cannot help."""
    message = compose(notice, server.sender, to)
    try:
        with _connect(server) as connection:
            if server.user:
                connection.login(server.user, str(server.password))
            connection.send_message(message)
    except smtplib.SMTPResponseException as error:
        reason = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        # RFC 5321, section 4.2.1: 5yz is a permanent negative reply.
        raise DeliveryFailed(
            f"{server.host} refused the mail: {error.smtp_code} {reason}", error.smtp_code >= 500
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        code, _ = next(iter(error.recipients.values()))
        raise DeliveryFailed(f"{server.host} refuses the address {to}: {code}", code >= 500) from None
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryFailed(f"{server.host}:{server.port} did not take the mail: {error}") from None


def _connect(server: MailServer) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=ssl.create_default_context())
    connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    if server.security == "starttls":
        try:
            connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
    return connection
