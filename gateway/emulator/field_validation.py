"""Validate the fields of a request, with Xyte's own error texts: 422 and `Field name can't be blank`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.emulator.api_types import ApiError, Form

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CLOUD_ID = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
"""A partner's code, whose length is not documented, and 16 to 36 characters of the unit (section 3.3)."""
SEMANTIC_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
"""Semantic Versioning 2.0.0, items 2, 9 and 10."""
VERSION_CHARACTERS = 255
INT32 = range(-(2**31), 2**31)


def label(field: str) -> str:
    """Return a field's name as error texts write it: `firmware_version` is `Firmware version`."""
    return field.replace("_", " ").capitalize()


def optional_text(form: Form, field: str) -> str | None:
    """Return a text or `None` when the field is absent, null or blank; 422 when it is something else."""
    value = form.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ApiError(422, f"{label(field)} is invalid")
    return value if value.strip() else None


def required_text(form: Form, field: str) -> str:
    """Return a text that is not blank; 422 when there is none."""
    value = optional_text(form, field)
    if value is None:
        raise ApiError(422, f"{label(field)} can't be blank")
    return value


def optional_object(form: Form, field: str) -> dict[str, object] | None:
    """Return an object or `None` when the field is absent or null; 422 when it is something else."""
    value = form.get(field)
    if value is not None and not isinstance(value, dict):
        raise ApiError(422, f"{label(field)} is invalid")
    return value


def optional_flag(form: Form, field: str) -> bool:
    """Return a boolean, `False` when the field is absent or null; 422 when it is something else."""
    value = form.get(field)
    if value is not None and not isinstance(value, bool):
        raise ApiError(422, f"{label(field)} must be a boolean")
    return bool(value)


def optional_time(form: Form, field: str) -> datetime | None:
    """Return an aware ISO-8601 time, UTC when it names no zone, `None` when absent or null; 422 when it is something else."""
    text = optional_text(form, field)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ApiError(422, f"{label(field)} must be an ISO-8601 time") from error


def required_choice(form: Form, field: str, words: tuple[str, ...]) -> str:
    """Return one of the words; 422 when it is another one or missing."""
    value = required_text(form, field)
    if value not in words:
        raise ApiError(422, f"{label(field)} must be {', '.join(words[:-1])} or {words[-1]}")
    return value


def required_firmware_version(form: Form, *, semantic: bool) -> str:
    """Return the `firmware_version`; 422 when it is blank or, from Model API version 1.0.4 on, no semantic version."""
    version = required_text(form, "firmware_version")
    if semantic and not is_semantic(version):
        raise ApiError(422, "Firmware version must be a semantic version")
    return version


def is_semantic(version: str) -> bool:
    """Return whether this is a semantic version, of a plausible length."""
    return len(version) <= VERSION_CHARACTERS and SEMANTIC_VERSION.fullmatch(version) is not None


def is_newer(version: str, than: str | None) -> bool:
    """Return whether a version comes after another one; one that is not a semantic version comes before all that are."""
    return _precedence(version) > _precedence(than or "")


def _precedence(version: str) -> tuple[object, ...]:
    """Semantic Versioning 2.0.0, item 11: a pre-release comes before its release, its numbers before its words."""
    parts = SEMANTIC_VERSION.fullmatch(version)
    if parts is None or not is_semantic(version):
        return (-1,)
    names = (parts[4] or "").split(".") if parts[4] else []
    ranks = tuple((0, int(name), "") if name.isdecimal() else (1, 0, name) for name in names)
    return (int(parts[1]), int(parts[2]), int(parts[3]), not names, ranks)
