"""The device name of a legacy sensor. Pure."""

MAX_NAME = 64


def device_name(gateway: str, claimed: str | None, address: str) -> str:
    """gateway-CLAIMED, or gateway-ip-ADDRESS for one that does not say who it is.

    No claim begins with "ip-" (frames), so that nobody takes the place of one that is known by its address.
    """
    if claimed is not None:
        return f"{gateway}-{claimed}"
    plain = address.removeprefix("::ffff:").partition("%")[0].lower()
    return f"{gateway}-ip-{plain.replace('.', '-').replace(':', '-')}"[:MAX_NAME]
