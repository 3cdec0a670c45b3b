"""Is a request that changes something from a page of ours? Pure.

The token is derived from a cookie that another site can neither read nor set, so nothing has to be kept of it.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def token(cookie: str) -> str:
    return hmac.new(cookie.encode(), b"csrf", hashlib.sha256).hexdigest()


def is_ours(cookie: str, given: str, site: str, origin: str, hosts: set[str]) -> bool:
    """cookie: the session's, or that of the form; given: the token that came with it; site, origin: the headers
    Sec-Fetch-Site and Origin, empty where the browser sent none; hosts: how people reach us, as HOST[:PORT].
    """
    if site not in ("", "same-origin", "none"):
        return False
    if origin and urlsplit(origin).netloc not in hosts:
        return False
    return bool(cookie) and hmac.compare_digest(token(cookie).encode(), given.encode())
