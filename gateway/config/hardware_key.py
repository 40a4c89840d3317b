"""Take the hardware key from the config file, the environment or a secret file, whichever outranks the others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gateway.command_secrets import KEY_LIKE
from gateway.config.checks import PLACEHOLDER, STILL_A_PLACEHOLDER
from gateway.config.mistakes import ENV_PREFIX, key_and_line
from gateway.config.settings import Settings
from gateway.errors import SettingsProblem

_OF_FILE: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{15,127}")
"""Matches the content of a key file, since any other file of the machine would be sent to the server as the key."""
_MOST_BYTES: Final = 4096


def with_hardware_key(settings: Settings, text: str, problems: list[SettingsProblem]) -> Settings:
    """Return the settings with the hardware key from wherever it is given; the environment outranks the file."""
    cloud = settings.cloud
    if cloud.hardware_key is None and cloud.hardware_key_file is None:
        right = (
            "Enter it, from the Partner Portal, as cloud.hardware_key or put it into a mounted secret file that "
            "cloud.hardware_key_file names;"
            f" or set the environment variable {ENV_PREFIX}CLOUD__HARDWARE_KEY and start again"
        )
        problems.append(SettingsProblem("cloud.hardware_key", "is missing", right, key_and_line(("cloud",), text)[1]))
        return settings
    as_value, as_file = (key_and_line(("cloud", key), text) for key in ("hardware_key", "hardware_key_file"))
    if cloud.hardware_key is not None and cloud.hardware_key_file is not None and _is_variable(as_value) == _is_variable(as_file):
        problems.append(SettingsProblem(as_file[0], "there is a hardware_key as well", "Keep one of the two", as_file[1]))
        return settings
    if cloud.hardware_key_file is not None and (cloud.hardware_key is None or _is_variable(as_file)):
        place, key = as_file, _read_key_file(cloud.hardware_key_file, as_file, problems)
    else:
        place, key = as_value, cloud.hardware_key
    bare = key.get_secret_value().strip() if key is not None else None
    if bare and place is as_file and not PLACEHOLDER.fullmatch(bare) and not _OF_FILE.fullmatch(bare):
        right = "The file has to hold the model's hardware key, from the Partner Portal, and nothing else"
        problems.append(SettingsProblem(place[0], "what is in this file does not look like a hardware key", right, place[1]))
        bare = None
    if bare is not None and (wrong := _wrong_key(bare)) is not None:
        problems.append(SettingsProblem(place[0], wrong, "Enter the model's hardware key, from the Partner Portal", place[1]))
    return settings.model_copy(update={"cloud": cloud.model_copy(update={"hardware_key": SecretStr(bare or "")})})


def _wrong_key(key: str) -> str | None:
    if not key:
        return "is empty"
    return STILL_A_PLACEHOLDER if PLACEHOLDER.fullmatch(key) else None


def _is_variable(place: tuple[str, int | None]) -> bool:
    """Whether the setting comes from the environment, which outranks the file."""
    return place[0].upper().startswith(ENV_PREFIX)


def _read_key_file(file: Path, place: tuple[str, int | None], problems: list[SettingsProblem]) -> SecretStr | None:
    try:
        with file.open("rb") as opened:
            return SecretStr(opened.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        right = f"Mount the secret there, as a file that user {os.getuid()} may read"
        name = "the file that is named" if KEY_LIKE.fullmatch(str(file)) else str(file)  # it may be the key itself
        problems.append(SettingsProblem(place[0], f"{name} cannot be read: {why}", right, place[1]))
    return None
