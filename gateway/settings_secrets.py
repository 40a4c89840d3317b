"""Find the secrets in settings, and hide them in texts in every form in which they may be written.

Where a secret stands in settings, its type says so (`SecretStr`), its name does, or it is the user information of a URL.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretBytes, SecretStr

from gateway import strict_json
from gateway.command_secrets import is_secret_name
from gateway.url_secrets import MASK, passwords_of

SHORTEST_SECRET = 4
"""A shorter one is hidden by its place alone: it would be found in every second word."""

LARGEST_SECRET_FILE = 4096


class SecretTexts:
    """Hides secrets in texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = sorted({form for one in secrets for form in forms_of(one)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def masked(self, text: str) -> str:
        """Return a text in which each secret is masked, in every form."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    @contextmanager
    def masked_in_errors(self) -> Iterator[None]:
        """Mask the secrets in the texts of errors that are raised, and of those behind them."""
        if self._pattern is None:
            yield
            return
        try:
            yield
        except Exception as error:
            self._mask_in(error, set())
            raise

    def _mask_in(self, error: BaseException | None, seen: set[int]) -> None:
        if error is None or id(error) in seen:
            return
        seen.add(id(error))
        error.args = tuple(self.masked(one) if isinstance(one, str) else one for one in error.args)
        for behind in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            self._mask_in(behind, seen)


def forms_of(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as JSON, Python, HTML and URLs write it; as bytes in base64 and in hexadecimal digits."""
    if len(secret) < SHORTEST_SECRET:
        return
    yield from (secret, strict_json.dumps(secret)[1:-1], strict_json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], html.escape(secret), quote(secret, safe="", errors="replace"))
    yield from (quote(secret, errors="replace"), quote_plus(secret, errors="replace"))
    raw = secret.encode("utf-8", "surrogatepass")
    yield from (raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(":"))
    if re.fullmatch("[0-9a-fA-F-]{8,}", secret):
        yield from (secret.upper(), secret.lower(), secret.swapcase(), secret.replace("-", ""))
    for offset in range(3):  # it may begin anywhere in what is encoded, as the password does in user:password
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * offset + raw).decode().rstrip("=")
            inner = text[(offset * 8 + 5) // 6 : -1 if (len(raw) + offset) % 3 else None]
            if len(inner) >= SHORTEST_SECRET:
                yield inner


def secrets_in(value: object, name: str = "") -> Iterator[str]:
    """Yield each secret in settings, whether it is typed as one, named like one, in a file, or the password in a URL."""
    match value:
        case BaseModel():
            for key in type(value).model_fields:
                yield from secrets_in(getattr(value, key), key)
        case Mapping():
            for key, inner in value.items():
                yield from secrets_in(inner, str(key))
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from secrets_in(inner, name)
        case _:
            yield from _secrets_of(value, name)


def _secrets_of(value: object, name: str) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case str() | int() | Path() if is_secret_name(name) and not isinstance(value, bool):
            yield from _secrets_in_file(Path(str(value))) if name.endswith("_file") else (str(value),)
        case str():
            yield from passwords_of(value)


def _secrets_in_file(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size <= LARGEST_SECRET_FILE:
            yield file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return  # the adapter has reported it
