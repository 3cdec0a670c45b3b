"""The ways of telling somebody, by the kind of a target."""

from ..errors import DeliveryFailed, SettingsError
from ..settings import Secret, Settings
from . import mail, mqtt, webhook
from .notice import Notice

KINDS = {"mail": "mail", "webhook": "webhook", "mqtt": "MQTT topic", "hass": "Home Assistant"}
# What may not be handed over a second time: its receiver would not know that it is the same.
ONCE = ("mail",)


class Ways:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = mail.MailServer(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_sender,
            settings.smtp_user,
            settings.smtp_password,
            settings.smtp_security,
        )

    def tell(self, kind: str, address: str, secret: str, notice: Notice) -> None:
        """Once. Raises DeliveryFailed (`lasting` when another try cannot help), SettingsError."""
        if kind == "mail":
            if not self._server.host:
                raise DeliveryFailed("no mail server is set: THERMOGRAPH_SMTP_HOST", lasting=True)
            mail.send(self._server, notice, address)
        elif kind == "webhook":
            inside = self._settings.webhook_reach == "all"
            webhook.send(webhook.Webhook(address, Secret(secret), inside), notice)
        elif kind == "mqtt":
            mqtt.send(self._settings, mqtt.plain(address, notice))
        elif kind == "hass":
            mqtt.send(self._settings, mqtt.home_assistant(address, notice))
        else:
            raise SettingsError(f"There is no way of telling {kind!r}.")


def check(kind: str, address: str) -> str:
    """The address, if something of this kind can be told at it. Raises SettingsError."""
    if kind == "mail":
        return mail.check_address(address)
    if kind == "webhook":
        return webhook.check_url(address).geturl()
    if kind == "mqtt":
        return mqtt.check_topic(address)
    if kind == "hass":
        return mqtt.check_prefix(address or "homeassistant")
    raise SettingsError(f"There is no way of telling {kind[:20]!r}.", f"There are {', '.join(KINDS)}.")
