"""Define the requests of a profile: what is written to a device that answers by notifications, and the answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, PrivateAttr, field_validator

from adapters.ble.advertisements.formats import decode
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, Name, Uuid
from adapters.ble.advertisements.value_layout import ValueLayout
from adapters.ble.profile.answer_frames import AnswerRule
from gateway.adapter import Mistake


class RequestRule(FrozenTable):
    """A request: bytes that are written, and the notifications that answer them. It changes nothing on the device."""

    name: Name = Field(description="the name by which points and identity refer to it")
    service: Uuid = Field(description="the service of `write`, and of `notify` unless `notify_service` says another one")
    write: Uuid = Field(description="the characteristic that is written")
    notify: Uuid = Field(description="the characteristic whose notifications answer")
    notify_service: Uuid | None = None
    status: Uuid | None = Field(
        default=None,
        description="a characteristic of `service` that tells, too, how the request ended: it is subscribed to first",
    )
    payload: Bytes = Field(min_length=1, description="the bytes: `dd a5 03 00 ff fd 77`")
    secret: bool = Field(default=False, description="the answer contains a passcode: its bytes are not shown")
    answer: AnswerRule = AnswerRule()

    @property
    def answered_in(self) -> str:
        """The service of the characteristic that answers."""
        return self.notify_service or self.service


class ConfirmRule(ValueLayout):
    """The answer to a request that tells a device apart from others with the same advertisement."""

    request: Name
    matches: str = Field(min_length=1, description="regular expression for the whole text or number in the answer")

    _pattern: re.Pattern[str] = PrivateAttr()

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, matches: str) -> str:
        try:
            re.compile(matches)
        except re.error as error:
            raise ValueError(f"{matches!r} is not a regular expression: {error}") from error
        return matches

    def model_post_init(self, _context: object) -> None:
        """Compile the expression once."""
        self._pattern = re.compile(self.matches)

    def told_by(self, content: bytes) -> str | None:
        """Return the text in an answer that is compared; `None` where there is none."""
        try:
            value = decode(self.encoding, content)
        except NotInPayload:
            return None
        return None if value is None else str(value)

    def is_met_by(self, content: bytes) -> bool:
        """Return whether an answer shows that the device is of this profile."""
        told = self.told_by(content)
        return told is not None and self._pattern.fullmatch(told) is not None


def place_by_requests(tables: Iterator[tuple[tuple[str | int, ...], dict[str, object]]], requests: object) -> None:
    """Give each table that names a `request` the service and the characteristic that answers it.

    Args:
        tables: points and sources of a file, each with the keys that lead there.
        requests: what the file has as its `requests`; wrong types are told when the file is checked.

    Raises:
        Mistake: a table names a request that is not there.
    """
    known: Mapping[object, dict[str, object]] = {
        one.get("name"): one for one in (requests if isinstance(requests, list) else []) if isinstance(one, dict)
    }
    for where, table in tables:
        if (name := table.get("request")) is None:
            continue
        if not isinstance(name, str) or name not in known:
            names = ", ".join(str(one) for one in known) or "none"
            raise Mistake((*where, "request"), f"there is no request {name!r}; there are {names}")
        table["service"] = known[name].get("notify_service") or known[name].get("service")
        table["characteristic"] = known[name].get("notify")


def with_requests(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a profile before its tables are placed: with a `request`, they name no characteristic."""
    definitions = {name: dict(one) for name, one in schema["$defs"].items()}
    for one in definitions.values():
        if "request" in one.get("properties", ()):
            one["required"] = [key for key in one.get("required", ()) if key not in {"service", "characteristic"}]
    return {**schema, "$defs": definitions}
