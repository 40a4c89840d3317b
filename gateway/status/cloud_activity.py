"""Define what page and API show of the exchange with the cloud: commands, incidents, licences, configurations, files. Pure.

No model has a field for a key, for the content of a licence or for a secret parameter, so none can be shown by mistake.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from gateway.status.model import StatusModel, Text


class CommandState(StrEnum):
    """How far a command is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The device may have acted, and whether it did cannot be said: a person has to look."""


class CommandSummary(StatusModel):
    """One command, of the cloud or of a person here."""

    child_id: str | None = Field(
        description="the id of its child in addresses of this API; null for the gateway itself and a former child"
    )
    device: Text = Field(description="the name of its device")
    name: Text
    parameters: dict[Text, Text] = Field(default_factory=dict, description="its parameters; secret ones are masked")
    state: CommandState
    message: Text | None = Field(default=None, description="how it ended, as the cloud was told")
    before: dict[Text, bool | int | float | Text | None] = Field(default_factory=dict, description="the values before it")
    after: dict[Text, bool | int | float | Text | None] = Field(default_factory=dict, description="the same values after it")
    received_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    is_reported: bool = Field(description="whether the cloud has the outcome, or does not wait for it")
    asked_by: Text | None = Field(default=None, description="who gave it here: `page, operator`; null for the cloud")
    request_id: Text | None = Field(default=None, description="the id of the request that gave it here; null for the cloud")
    progress: Text | None = Field(default=None, description="how far a long one is, while it is carried out")


class IncidentSummary(StatusModel):
    """Something that is wrong now, for which an incident is open in the cloud."""

    child_id: str | None
    device: Text
    title: Text
    what_to_do: Text
    priority: int = Field(description="1 critical to 5 planning")


class LicenceSummary(StatusModel):
    """A licence of one device, without its content."""

    child_id: str | None
    device: Text
    licence: Text = Field(description="its id in the cloud")
    state: Text
    expires_at: AwareDatetime | None = None
    problem: Text | None = None
    is_reported: bool = Field(description="whether the cloud knows the state")


class ModelFileSummary(StatusModel):
    """A file of the gateway's model, such as firmware."""

    name: Text
    file_type: Text | None = None
    version: Text | None = None
    notes: Text | None = None


class ConfigurationSummary(StatusModel):
    """The configuration of one device in the cloud, without its values."""

    child_id: str | None
    device: Text
    version: int = Field(description="the version that is in effect; 0 for none")
    is_confirmed: bool = Field(description="whether the cloud knows that")
    tried_version: int | None = Field(default=None, description="a newer version that is being tried, and watched")
    changes: tuple[Text, ...] = Field(default=(), description="what the version that is being tried changes")
    problem: Text | None = Field(default=None, description="why the newest version is not in effect")


class SettingSummary(StatusModel):
    """A setting of the gateway that the cloud may change, and where its value comes from."""

    key: Text
    value: Text
    origin: Text = Field(description="`default`, `file`, `environment` or `cloud`")


class CloudActivity(StatusModel):
    """What the cloud has asked for lately, and what it has on record."""

    claimed_by: Text | None = Field(default=None, description="the customer who has claimed the gateway")
    space: Text | None = Field(default=None, description="the space of the gateway")
    is_in_maintenance: bool = Field(default=False, description="somebody works on the space, so alarms are expected")
    commands: tuple[CommandSummary, ...] = Field(default=(), description="the latest commands, the last received first")
    incidents: tuple[IncidentSummary, ...] = Field(default=(), description="the open incidents, the most urgent first")
    licences: tuple[LicenceSummary, ...] = ()
    files: tuple[ModelFileSummary, ...] = ()
    configurations: tuple[ConfigurationSummary, ...] = ()
    settings: tuple[SettingSummary, ...] = Field(default=(), description="the settings of the gateway that the cloud may change")

    def commands_of(self, child_id: str) -> tuple[CommandSummary, ...]:
        """Return the latest commands of one child."""
        return tuple(command for command in self.commands if command.child_id == child_id)

    def licences_of(self, child_id: str) -> tuple[LicenceSummary, ...]:
        """Return the licences of one child."""
        return tuple(licence for licence in self.licences if licence.child_id == child_id)

    def configurations_of(self, child_id: str) -> tuple[ConfigurationSummary, ...]:
        """Return the configuration of one child, if it has one in the cloud."""
        return tuple(configuration for configuration in self.configurations if configuration.child_id == child_id)
