"""Define the tokens of the status page and the content of the file that keeps their hashes. Pure.

A token is 256 random bits, so a plain hash of it gives nothing away; only that hash is stored, with a name, a role, and two days.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from gateway import strict_json
from gateway.models import parse_name
from gateway.status.rights import Rights

MOST_TOKENS: Final = 100


class Role(StrEnum):
    """What the holder of a token may do; each includes those before it."""

    LOOK = "look"
    OPERATE = "operate"
    ADMINISTER = "administer"


RIGHTS_OF: Final[Mapping[Role, Rights]] = {
    Role.LOOK: Rights.LOOK,
    Role.OPERATE: Rights.OPERATE,
    Role.ADMINISTER: Rights.ADMINISTER,
}
DEFAULT_NAMES: Final[Mapping[Role, str]] = {
    Role.LOOK: "viewer",
    Role.OPERATE: "operator",
    Role.ADMINISTER: "administrator",
}
"""The name of a token that was given none. The one of the first start is that of an administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of one token."""

    name: str
    role: Role
    digest: str
    """The SHA-256 of the token, in lower-case hexadecimal digits."""
    made: date | None = None
    """The day on which it was made; `None` for one of an earlier version."""
    used: date | None = None
    """The latest day on which it is known to have been used."""

    @property
    def rights(self) -> Rights:
        """What its holder may do."""
        return RIGHTS_OF[self.role]

    def facts(self) -> dict[str, str | None]:
        """Return what is shown of it: everything but its hash."""
        days = {"made": self.made, "used": self.used}
        return {"name": self.name, "role": self.role.value} | {
            name: None if day is None else day.isoformat() for name, day in days.items()
        }


def new_token() -> str:
    """Return a new token: 256 random bits in characters that need no quoting in a URL, a shell or a form."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the hash of a token, which is all that is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def find_token(tokens: Iterable[Token], text: str) -> Token | None:
    """Return the token that this is; takes the same time for every wrong one, and looks at each."""
    digest, found = digest_of(text), None
    for one in tokens:
        if hmac.compare_digest(digest, one.digest):
            found = one
    return found


def encode_tokens(tokens: Sequence[Token]) -> str:
    """Return the content of the file for these tokens."""
    return strict_json.dumps({"tokens": [one.facts() | {"hash": one.digest} for one in tokens]}, indent=1) + "\n"


def decode_tokens(content: bytes) -> tuple[Token, ...] | None:
    """Return the tokens in the content of a file; `None` when it is damaged.

    A gateway of an earlier version had one token, and a file with its hash alone.
    """
    text = content.decode("utf-8", "replace").strip()
    if _is_digest(text):
        return (Token(name=DEFAULT_NAMES[Role.ADMINISTER], role=Role.ADMINISTER, digest=text),)
    try:
        rows = json.loads(text)["tokens"]
        tokens = tuple(map(_token_of, rows[:MOST_TOKENS]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return tokens if len({one.name for one in tokens}) == len(tokens) else None


def _token_of(row: Mapping[str, str | None]) -> Token:
    digest, name = str(row["hash"]), str(row["name"])
    if not _is_digest(digest) or parse_name(name) != name:
        raise ValueError
    made, used = (None if (day := row.get(key)) is None else date.fromisoformat(day) for key in ("made", "used"))
    return Token(name=name, role=Role(str(row["role"])), digest=digest, made=made, used=used)


def _is_digest(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None
