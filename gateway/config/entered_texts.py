"""Read what a person has entered in the set-up: keys and ids pasted with quotes, addresses of servers, hosts and ports. Pure.

Each function returns the value, or raises `ValueError` with a sentence that says what is wrong and what would be right.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

QUOTES: Final = "\"'`<>[]{}()\u00ab\u00bb\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a"
"""What surrounds a text that was copied from a document, a shell or a configuration."""

_INVISIBLE: Final = re.compile(r"[\s\u200b-\u200f\u2060\ufeff\u00ad]+")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOST: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?")
_HYPHENS: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def parse_guid(text: str, *, what: str) -> str:
    """Return a GUID in small letters, whatever surrounds it.

    Raises:
        ValueError: it is none. The sentence does not repeat what was entered, which may be a key.
    """
    bare = _INVISIBLE.sub("", text).translate(_HYPHENS)
    bare = bare.removeprefix("urn:uuid:").strip(QUOTES + ",;=")
    if not bare:
        raise ValueError(f"Enter the {what}.")
    if re.fullmatch("[0-9a-fA-F]{32}", bare):
        bare = "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))
    if _GUID.fullmatch(bare) is None:
        digits = len(re.findall("[0-9a-fA-F]", bare))
        why = f"it has {digits} of 32 hexadecimal digits" if digits != 32 or len(bare) < 36 else "it has other characters in it"
        raise ValueError(
            f"This is not a {what}: {why}. It looks like 0f0e0d0c-1111-4222-8333-444455556666; copy it again as a whole."
        )
    return bare.lower()


def parse_entry_url(text: str, *, allow_plain_http: bool) -> str:
    """Return the address of the cloud's provisioning server.

    Raises:
        ValueError: it is none, or it would send keys in clear text.
    """
    bare = text.strip().strip(QUOTES).rstrip("/")
    if bare and "://" not in bare:
        bare = f"https://{bare}"
    try:
        parts = urlsplit(bare)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0 and bare.isprintable()
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None or " " in bare:
        raise ValueError("This is not the address of a server; it looks like https://entry.xyte.io.")
    if parts.scheme == "http" and not allow_plain_http:
        raise ValueError("This address would send the key in clear text. Use https://, or allow http if this is an emulator.")
    return bare


def parse_host(text: str) -> str:
    """Return a host with its port, if one was entered: `192.168.1.20`, `meter.local:1502`.

    Raises:
        ValueError: it is none.
    """
    bare = text.strip().strip(QUOTES)
    if "://" in bare:
        bare = bare.split("://", 1)[1]
    bare = bare.rstrip("/")
    host, colon, port = bare.rpartition(":") if bare.count(":") == 1 else (bare, "", "")
    numbers = host.split(".")
    is_address = len(numbers) > 1 and all(one.isdigit() for one in numbers)
    if _HOST.fullmatch(host) is None or ".." in host or (is_address and not _is_ipv4(numbers)):
        raise ValueError("This is not a host; it looks like 192.168.1.20, meter.local or 192.168.1.20:1502.")
    if colon and not (port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise ValueError("The port behind the colon has to be a number from 1 to 65535.")
    return bare


def _is_ipv4(numbers: list[str]) -> bool:
    return len(numbers) == 4 and all(len(one) <= 3 and int(one) <= 255 for one in numbers)


def parse_name(text: str, *, longest: int) -> str:
    """Return a name on one line.

    Raises:
        ValueError: it is empty, too long, or has characters that cannot be shown.
    """
    bare = text.strip()
    if not bare:
        raise ValueError("Enter a name.")
    if len(bare) > longest:
        raise ValueError(f"The name has {len(bare)} characters; it may have {longest}.")
    if not bare.isprintable():
        raise ValueError("The name has characters that cannot be shown, such as a line break. Enter it anew.")
    return bare
