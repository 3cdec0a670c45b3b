"""paho's client as the tools use it: a clean session, at the broker that the backend uses."""

from typing import Any, Literal

from backend.settings import Settings

PATIENCE = 5.0


def client(settings: Settings, name: str, user: str, password: str) -> Any:
    """name: a client id of its own, or it would throw off whoever has the same. Not connected yet."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    transport: Literal["websockets", "tcp"] = "websockets" if settings.broker.startswith("ws") else "tcp"
    made = mqtt.Client(CallbackAPIVersion.VERSION2, name, transport=transport)
    if user:
        made.username_pw_set(user, password)
    if settings.broker.startswith(("mqtts:", "wss:")):
        made.tls_set(ca_certs=settings.broker_ca or None)
    return made
