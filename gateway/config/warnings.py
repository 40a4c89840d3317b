"""Find what works in a configuration and is probably not meant: `check` shows it, and the log at the start. Pure but for files.

Nothing here keeps a gateway from starting: a cloud of one's own may have other ids and keys than the public one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.adapter_settings import AdapterSettings
from gateway.config.checks import PLACEHOLDER
from gateway.config.entries import entry_warnings
from gateway.config.mistakes import did_you_mean, key_and_line
from gateway.config.settings import Settings
from gateway.errors import SettingsProblem

SELF_SIGNED = "self-signed"


def find_warnings(settings: Settings, entries: Sequence[AdapterSettings], text: str) -> Iterator[SettingsProblem]:
    """Yield what is probably not meant, in the settings and in the entries."""
    yield from _key_and_models(settings, text)
    yield from _misspelt_families(settings, _families(entries), text)
    yield from _missing_files(settings, text)
    yield from entry_warnings(entries, text)


def _key_and_models(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield keys and ids that are no GUIDs, as those of the cloud are (device API reference, sections 4 and 5)."""
    key = settings.cloud.hardware_key
    if key is not None and key.get_secret_value() and not _is_guid(key.get_secret_value()):
        where, line = key_and_line(
            ("cloud", "hardware_key" if settings.cloud.hardware_key_file is None else "hardware_key_file"), text
        )
        right = "The Partner Portal shows it as five groups, 8-4-4-4-12 characters; look whether it was copied whole"
        yield SettingsProblem(where, "does not look like a hardware key", right, line)
    for family, model_id in settings.models.items():
        if not _is_guid(model_id) and not PLACEHOLDER.fullmatch(model_id.strip()):
            where, line = key_and_line(("models", family), text)
            right = "The Partner Portal shows it under Model, Info, as c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
            yield SettingsProblem(where, f"{model_id[:60]!r} does not look like the id of a model", right, line)


def _is_guid(written: str) -> bool:
    try:
        return str(UUID(written.strip())) == written.strip().lower()
    except ValueError:
        return False


def _misspelt_families(settings: Settings, known: Iterable[str], text: str) -> Iterator[SettingsProblem]:
    families = sorted({*known})
    for family in settings.models:
        if family not in {*families, "*"} and (near := did_you_mean(family, families)):
            where, line = key_and_line(("models", family), text)
            yield SettingsProblem(where, "no profile has this family", near.strip(), line)


def _families(entries: Iterable[AdapterSettings]) -> Iterator[str]:
    """Yield the families of all profiles that the entries can use."""
    for entry in entries:
        library: Any = getattr(entry, "library", None)
        if isinstance(library, Mapping):
            yield from (family for profile in library.values() if isinstance(family := getattr(profile, "family", None), str))


def _missing_files(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    for key in ("certificate", "key"):
        file = getattr(settings.status, key)
        if file is not None and str(file) != SELF_SIGNED and not os.access(file, os.R_OK):
            where, line = key_and_line(("status", key), text)
            wrong = f"{file} cannot be read now, and the page is not served until it can be"
            yield SettingsProblem(where, wrong, "Mount it there, or correct the path", line)
