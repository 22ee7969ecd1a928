"""Addresses of the web as somebody types them: what may be one at all, and which machines lie near.

One strict rule for all, because programs read odd addresses differently: what looks harmless to one leads another away.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%{}-]+", re.ASCII)
"""Those of RFC 3986 without the apostrophe, and the braces that Stripe fills in. No white space, quotes, backslash."""
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?", re.ASCII
)
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
"""A host that browsers and system libraries read as a number, however it is written: 127.1, 0x7f000001, 2130706433."""
_LAN_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")
_TAILNET = ipaddress.ip_network("100.64.0.0/10")

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def web_address(text: str) -> SplitResult:
    """The parts of an http or https address without user info. Raises ValueError for anything else."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    if not _CHARACTERS.fullmatch(text) or parts.scheme not in ("http", "https") or {"@", "%"} & {*parts.netloc}:
        raise ValueError("this is not an address of the web")
    if parts.port == 0 or not (ip_of(host) or (_NAME.fullmatch(host) and not _NUMERIC.fullmatch(host))):
        raise ValueError("this is not a host of the web")
    return parts


def is_web_address(text: str) -> bool:
    """Whether it is one."""
    try:
        web_address(text)
    except ValueError:
        return False
    return True


def ip_of(host: str) -> Ip | None:
    """The numeric address that a host is, if it is one; of IPv4 also where it wears the clothes of IPv6."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def is_this_machine(host: str) -> bool:
    """Whether the host is this machine."""
    found = ip_of(host)
    return found.is_loopback if found else host == "localhost"


def is_near(host: str) -> bool:
    """Whether the host is this machine or one of the office's own network, going by its number or its name."""
    found = ip_of(host)
    if found is None:
        return "." not in host.rstrip(".") or host.rstrip(".").endswith(_LAN_SUFFIXES)
    return found.is_private or (isinstance(found, ipaddress.IPv4Address) and found in _TAILNET)
