"""Summarise what the cloud has asked for lately, what is wrong, and what the cloud has on record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

from gateway import strict_json
from gateway.cloud.configuration.trials import Plan
from gateway.config.cloud_overlay import EffectiveConfiguration
from gateway.errors import StoreError
from gateway.runtime.summaries.configurations import configuration_summaries, setting_summaries
from gateway.state.command_ledger import LedgerEntry
from gateway.state.incidents import OpenIncident
from gateway.state.licences import LicenceRecord
from gateway.state.parts import StateParts
from gateway.status.cloud_activity import (
    CloudActivity,
    CommandState,
    CommandSummary,
    IncidentSummary,
    LicenceSummary,
    ModelFileSummary,
    SettingSummary,
)
from gateway.status.model import encode_id

LATEST_COMMANDS = 200
"""How many commands the page has, those of all devices together."""


class CloudSummarizer:
    """Summarises the exchange with the cloud; the commands are read again only when there are new ones.

    Args:
        state: what the gateway has stored of it.
        plans: returns what the configurations change that are being tried.
        effective: returns the gateway's own configuration with the origin of each value.
        progress_of: returns how far a long command is that a person gave here.
    """

    def __init__(
        self,
        state: StateParts,
        *,
        plans: Callable[[], Mapping[str | None, Plan]],
        effective: Callable[[], EffectiveConfiguration],
        progress_of: Callable[[LedgerEntry], str | None] = lambda entry: None,
    ) -> None:
        self._state = state
        self._progress_of = progress_of
        self._plans = plans
        self._read_effective = effective
        self._effective: EffectiveConfiguration | None = None
        self._settings: tuple[SettingSummary, ...] = ()
        self._revision = -1
        self._commands: Sequence[LedgerEntry] = ()

    async def activity(self) -> CloudActivity:
        """Return the exchange with the cloud at this moment."""
        state = self._state
        names = {key: record.child.name for key, record in state.registry.children.items()}
        gateway = state.registry.gateway
        device_id = "" if gateway is None or gateway.credentials is None else gateway.credentials.device_id
        record = state.cloud_records.of(device_id)
        place = () if record.space is None else (record.space.name, record.space.location)
        return CloudActivity(
            claimed_by=record.claimed_by,
            space=", ".join(filter(None, place)) or None,
            is_in_maintenance=record.space is not None and record.space.maintenance,
            commands=tuple(command_summary(entry, names, self._progress_of(entry)) for entry in await self._latest_commands()),
            incidents=tuple(
                _incident(one, names) for one in sorted(state.incidents.wanted.values(), key=lambda one: one.priority)
            ),
            licences=tuple(_licence(one, names) for one in state.licences.all),
            files=tuple(
                ModelFileSummary(name=file.name or file.id, file_type=file.file_type, version=file.version, notes=file.notes)
                for file in record.files
            ),
            configurations=tuple(configuration_summaries(state.configurations.all, self._plans(), names)),
            settings=self._setting_summaries(),
        )

    def _setting_summaries(self) -> tuple[SettingSummary, ...]:
        effective = self._read_effective()
        if effective is not self._effective:
            self._effective, self._settings = effective, setting_summaries(effective)
        return self._settings

    async def _latest_commands(self) -> Sequence[LedgerEntry]:
        ledger = self._state.ledger
        revision = ledger.revision
        if revision != self._revision:
            with contextlib.suppress(StoreError):  # the problem of the store is shown by itself
                self._commands = await ledger.latest(LATEST_COMMANDS)
                self._revision = revision
        return self._commands


def _device(child: str | None, names: Mapping[str, str]) -> dict[str, str | None]:
    if child is None:
        return {"child_id": None, "device": "the gateway"}
    # a device that is no child any more has no page: its key alone says which one it was
    return {"child_id": encode_id(child), "device": names[child]} if child in names else {"child_id": None, "device": child}


def command_summary(entry: LedgerEntry, names: Mapping[str, str], progress: str | None = None) -> CommandSummary:
    """Return a command as it is shown; `names` are those of the children by key."""
    if entry.outcome is not None:
        state = CommandState(entry.outcome)
    else:
        state = CommandState.WAITING if entry.started_at is None else CommandState.RUNNING
    return CommandSummary.model_validate(
        {
            **_device(entry.child, names),
            "name": entry.name,
            "parameters": {
                name: value if isinstance(value, str) else strict_json.dumps(value) for name, value in entry.parameters.items()
            },
            "state": state,
            "message": entry.message,
            "before": dict(entry.before),
            "after": dict(entry.after),
            "received_at": entry.received_at,
            "ended_at": entry.ended_at,
            "is_reported": entry.is_delivered or entry.is_local,
            "asked_by": entry.asked_by,
            "request_id": str(entry.command_id) if entry.is_local else None,
            "progress": progress,
        }
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value)


def _incident(incident: OpenIncident, names: Mapping[str, str]) -> IncidentSummary:
    return IncidentSummary.model_validate(
        {
            **_device(incident.child, names),
            "title": incident.title,
            "what_to_do": incident.what_to_do,
            "priority": int(incident.priority),
        }
    )


def _licence(record: LicenceRecord, names: Mapping[str, str]) -> LicenceSummary:
    return LicenceSummary.model_validate(
        {
            **_device(record.child, names),
            "licence": str(record.licence_id),
            "state": str(record.state),
            "expires_at": record.expires_at,
            "problem": record.problem,
            "is_reported": record.is_delivered,
        }
    )
