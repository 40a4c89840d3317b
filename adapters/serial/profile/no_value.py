"""Recognize numbers and words that a protocol sends in the place of a measurement: `9.91E37`, `OL`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from adapters.serial.framing.notation import ProfileTable
from adapters.serial.profile.fields import Field as TemplateField
from gateway.adapter import Value


class NoValueRule(ProfileTable):
    """The `[no_value]` table: what stands in number fields of answers and messages where the device has no number."""

    magnitude: float | None = Field(
        default=None, gt=0, description="numbers of this size and larger ones, of either sign, are no measurements"
    )
    words: tuple[Annotated[str, Field(pattern=r"^[!-~]+$")], ...] = Field(
        default=(), description="words in the place of a number, in any case and with or without a sign: `OL`, `OVER`"
    )

    def applied_to(self, field: TemplateField) -> TemplateField:
        """Return the field with `None` for these numbers and words; a field that takes no numbers unchanged."""
        if not field.is_number or (self.magnitude is None and not self.words):
            return field

        def read(raw: bytes) -> Sequence[Value]:
            if words is not None and re.fullmatch(rb" *" + words + rb" *", raw) is not None:
                return [None]
            return [None if self._is_too_large(value) else value for value in field.read(raw)]

        words = self._words_pattern
        pattern = field.pattern if words is None else b"(?:" + field.pattern + b"|" + words + b")"
        return replace(field, pattern=pattern, read=read)

    @property
    def _words_pattern(self) -> bytes | None:
        escaped = [re.escape(word.encode()) for word in self.words]
        return b"[+-]?(?i:" + b"|".join(escaped) + b")" if escaped else None

    def _is_too_large(self, value: Value) -> bool:
        return self.magnitude is not None and isinstance(value, int | float) and abs(value) >= self.magnitude
