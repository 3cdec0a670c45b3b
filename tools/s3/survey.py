"""What there is to say of each bucket: its region, its size, and whether the public can read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .connection import told

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
SIGNED_IN = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


@dataclass(frozen=True)
class Bucket:
    """size in bytes and objects: None when not counted. public: "no", "yes", or "unknown" where S3 would not say."""

    name: str
    region: str
    created: str
    objects: int | None
    size: int | None
    public: str


def survey(client: Any, count: bool, seen: Callable[[str, int], None]) -> Iterator[Bucket]:
    """Every bucket of the account, by name. seen is told (bucket, objects counted) as they are counted.

    Raises ThermographError.
    """
    with told("Listing the buckets"):
        buckets = sorted(client.list_buckets().get("Buckets", ()), key=lambda one: one["Name"])
    for one in buckets:
        name = one["Name"]
        with told(f"Looking at {name}"):
            objects, size = _count(client, name, seen) if count else (None, None)
            created = one["CreationDate"].date().isoformat()
            yield Bucket(name, _region(client, name), created, objects, size, _public(client, name))


def _count(client: Any, name: str, seen: Callable[[str, int], None]) -> tuple[int, int]:
    objects = size = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        entries = page.get("Contents", ())
        objects += len(entries)
        size += sum(entry["Size"] for entry in entries)
        seen(name, objects)
    return objects, size


def _region(client: Any, name: str) -> str:
    # us-east-1 has no name of its own in the answer (S3 API Reference, GetBucketLocation).
    answer = _asked(client.get_bucket_location, name)
    return "unknown" if answer is None else answer.get("LocationConstraint") or "us-east-1"


def _public(client: Any, name: str) -> str:
    """As Amazon decides it: a block of public access wins over the policy, and over the access control list."""
    block = (_asked(client.get_public_access_block, name) or {}).get("PublicAccessBlockConfiguration", {})
    if block.get("IgnorePublicAcls") and block.get("RestrictPublicBuckets"):
        return "no"
    status = _asked(client.get_bucket_policy_status, name)
    if status and status.get("PolicyStatus", {}).get("IsPublic"):
        return "yes"
    lists = _asked(client.get_bucket_acl, name)
    if lists is None:
        return "unknown"
    grantees = {grant.get("Grantee", {}).get("URI") for grant in lists.get("Grants", ())}
    return "yes" if grantees & {ALL_USERS, SIGNED_IN} else "no"


def _asked(ask: Callable[..., dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The answer, or None: some servers cannot say, and some credentials may not ask."""
    from botocore.exceptions import ClientError

    try:
        return ask(Bucket=name)
    except ClientError:
        return None
