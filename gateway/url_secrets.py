"""Hide what opens a URL, its user name and password and its query, in texts that leave the gateway. Pure."""

from __future__ import annotations

import re

MASK = "********"
"""What stands in the place of a secret, as everywhere."""

_USER = re.compile(r"(?<=://)[^\s\"'<>]*@")
"""Up to the last `@` of the word: a password may have `/`, `#` or `@` in it that nobody has encoded."""

_BARE_USER = re.compile(r"(?<![^\s\"'=(])[^\s:/@\"']+:[^\s\"']*@(?=[\w\[])")
"""The same where the scheme was forgotten: `user:password@host`."""

_QUERY = re.compile(r"(://[^\s?#\"'<>]+\?)[^\s\"'<>]+")


def without_url_user(text: str) -> str:
    """Return a text in which user name and password of each URL are masked."""
    return _USER.sub(f"{MASK}@", text) if "@" in text else text


def without_bare_url_user(text: str) -> str:
    """Return the same of a text that may contain addresses without a scheme."""
    return _BARE_USER.sub(f"{MASK}@", without_url_user(text)) if "@" in text else text


def without_url_secrets(text: str) -> str:
    """Return a text in which the query of each URL is masked, too: it may be a signature that opens it."""
    return _QUERY.sub(rf"\1{MASK}", without_url_user(text))


def passwords_of(text: str) -> list[str]:
    """Return the passwords in the URLs of a text."""
    return [user[0].removesuffix("@").partition(":")[2] for user in _USER.finditer(text)]
