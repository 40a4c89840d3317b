"""Declare the gateway's own commands: what the cloud can ask of the gateway itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gateway.models import UPDATE_FIRMWARE, CommandSpec


class Parameters(BaseModel):
    """The base of the parameters of an own command."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceParameters(Parameters):
    """Names one device."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=300)] = Field(
        description="the key of the device, as `xyte-gateway children` and the status page show it"
    )


class LogLevelParameters(Parameters):
    """Names a level."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda given: given.lower() if isinstance(given, str) else given),
    ] = Field(description="the lowest level that is logged")


RESCAN = CommandSpec(
    name="rescan", title="Search for devices", description="searches every bus for new devices", harmless_late=True
)

ADMIT = CommandSpec(
    name="admit",
    title="Admit a device",
    description="makes a found device a child of the gateway, whatever the policy says",
    parameters=DeviceParameters,
    is_proven=True,
)

IGNORE = CommandSpec(
    name="ignore",
    title="Ignore a device",
    description="leaves a found device out from now on",
    parameters=DeviceParameters,
    is_proven=True,
)

FORGET = CommandSpec(
    name="forget",
    title="Forget a device",
    description="retires a child: it is deleted in the cloud, and its device ignored until it is admitted again; a found device"
    " that is no child loses its entry, and the decision about it",
    parameters=DeviceParameters,
    is_proven=True,
)

SET_LOG_LEVEL = CommandSpec(
    name="set_log_level",
    title="Set the log level",
    description="changes what is logged until the next start",
    parameters=LogLevelParameters,
    is_proven=True,
)

REBOOT = CommandSpec(
    name="reboot",
    title="Restart the gateway",
    description="ends the gateway after everything is stored; systemd or the container engine starts it again",
    is_proven=True,
    harmless_late=True,
    restarts_device=True,
)

DUMP = CommandSpec(
    name="dump",
    title="Send a dump",
    description="sends an archive with log, status, configuration without secrets, versions and the findings of doctor",
    is_proven=True,
    harmless_late=True,
)

UPDATE_GATEWAY = replace(
    UPDATE_FIRMWARE,
    title="Update the gateway",
    description="fetches a file and hands it to the program that the configuration names for it",
)

OWN_COMMANDS: Sequence[CommandSpec] = (RESCAN, ADMIT, IGNORE, FORGET, SET_LOG_LEVEL, REBOOT, DUMP, UPDATE_GATEWAY)
"""All of them, as the Partner Portal needs them for the gateway's own model."""
