"""Define the operations that edit the configuration of the gateway, their bodies and responses. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, Field

from gateway.status.configuration_view import MOST_BYTES, Effect
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation, ErrorResponse
from gateway.status.rights import Rights

PATH: Final = f"{BASE}/configuration"
MOST_BODY_BYTES: Final = 3 * MOST_BYTES + 64 * 1024


class ConfigurationChange(StatusModel):
    """The latest change of the configuration in this run."""

    at: datetime
    what: str = Field(description="the keys that were changed")
    by: str
    problem: str | None = Field(description="what became worse since; null while nothing has")
    is_watched: bool = Field(description="whether buses and cloud are still being watched")


class GatewayConfigurationText(StatusModel):
    """The configuration file of the gateway."""

    file: str = Field(description="its path; empty where the environment alone configures the gateway")
    text: str = Field(description="TOML; each key and password is a numbered mask")
    etag: str = Field(description="names what the file says; PUT needs it")
    problem: str | None = Field(description="why it cannot be changed here; null when it can")
    can_undo: bool = Field(description="whether there is a former text to go back to")
    waits_for_restart: tuple[str, ...] = Field(description="keys that were saved and count once the gateway has restarted")
    from_elsewhere: dict[str, str] = Field(description="keys that the environment or the cloud sets -> where")
    change: ConfigurationChange | None


class ConfigurationText(StatusModel):
    """A text in the place of that of the file."""

    text: str = Field(description="TOML; a mask of the text that was read stands for the secret that it masks")


class ConfigurationReplacement(ConfigurationText):
    """A text that takes the place of that of the file."""

    etag: str = Field(description="the etag of the text that it replaces")


class ConfigurationMistake(StatusModel):
    """What is wrong with a text, or probably not meant."""

    line: int | None = Field(description="from 1; null where it belongs to no line")
    where: str
    wrong: str
    right: str


class ConfigurationMistakes(StatusModel):
    """What is wrong with a text."""

    mistakes: tuple[ConfigurationMistake, ...] = Field(description="empty when the text can be saved")
    warnings: tuple[ConfigurationMistake, ...] = Field(description="what is probably not meant")


class ConfigurationPart(StatusModel):
    """One value that a text changes."""

    key: str
    before: str
    after: str
    effect: Effect = Field(description="at once; reopens: at once, with its buses reopened; restart: after a restart")
    note: str = Field(description="what it means for buses and devices")


class ConfigurationPlanned(ConfigurationMistakes):
    """What a text would change."""

    parts: tuple[ConfigurationPart, ...]
    cautions: tuple[str, ...] = Field(description="what to know before it is saved, such as that the page moves")
    difference: tuple[str, ...] = Field(description="the lines that differ, each with +, - or a space before it; no secrets")


class ConfigurationSaved(StatusModel):
    """The configuration was saved."""

    etag: str = Field(description="names what the file says now")
    waits_for_restart: tuple[str, ...] = Field(description="keys that count once the gateway has restarted; others do now")


class ConfigurationRestart(StatusModel):
    """A restart in the same process."""

    confirmed: bool = Field(default=False, description="a person has confirmed it; required")


_CONFLICT: Final[Mapping[str, tuple[str, type[BaseModel]]]] = {
    "409": ("the file has changed meanwhile, or cannot be written", ErrorResponse),
    "413": (f"the text has more than {MOST_BYTES // 1000} kB", ErrorResponse),
    "422": ("the text has mistakes", ConfigurationMistakes),
}

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("configuration", "GET", PATH, "The configuration file, with its secrets masked", GatewayConfigurationText),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *("check_configuration", "POST", f"{PATH}/check", "What is wrong with a text", ConfigurationMistakes),
        needs=Rights.ADMINISTER,
        body=ConfigurationText,
        most_body_bytes=MOST_BODY_BYTES,
        errors={"413": _CONFLICT["413"]},
    ),
    ApiOperation(
        *("plan_configuration", "POST", f"{PATH}/plan", "What a text would change, and when that counts", ConfigurationPlanned),
        needs=Rights.ADMINISTER,
        body=ConfigurationText,
        most_body_bytes=MOST_BODY_BYTES,
        errors={"413": _CONFLICT["413"]},
    ),
    ApiOperation(
        *("replace_configuration", "PUT", PATH, "Save a text and put it into effect", ConfigurationSaved),
        needs=Rights.ADMINISTER,
        body=ConfigurationReplacement,
        most_body_bytes=MOST_BODY_BYTES,
        errors=_CONFLICT,
    ),
    ApiOperation(
        *(
            "undo_configuration",
            "POST",
            f"{PATH}/undo",
            "Go one step back, to the former text",
            ConfigurationSaved,
        ),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *(
            "restart_with_configuration",
            "POST",
            f"{PATH}/restart",
            "Restart in the same process, with what was saved",
            ActionDone,
        ),
        needs=Rights.ADMINISTER,
        body=ConfigurationRestart,
    ),
)
