"""Summarise the configurations of the cloud, and the settings of the gateway with the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway import strict_json
from gateway.cloud.configuration.trials import Plan
from gateway.config.cloud_overlay import EffectiveConfiguration
from gateway.config.mistakes import dotted
from gateway.state.configurations import ConfigurationRecord
from gateway.status.cloud_activity import ConfigurationSummary, SettingSummary
from gateway.status.model import encode_id


def configuration_summaries(
    records: Mapping[str | None, ConfigurationRecord], plans: Mapping[str | None, Plan], names: Mapping[str, str]
) -> Iterator[ConfigurationSummary]:
    """Yield a summary for each device that has, or had, a configuration in the cloud: the gateway first, then by name."""
    for child in sorted(records, key=lambda child: "" if child is None else names.get(child, child)):
        record, plan = records[child], plans.get(child)
        if record == ConfigurationRecord(device_id=record.device_id):
            continue
        yield ConfigurationSummary(
            child_id=None if child is None else encode_id(child),
            device="the gateway" if child is None else names.get(child, child),
            version=record.applied.version,
            is_confirmed=not record.needs_confirmation,
            tried_version=None if record.tried is None else record.tried.version,
            changes=() if plan is None else tuple(map(str, plan.changes)),
            problem=None if record.problem is None else f"version {record.problem.version}: {record.problem.why}",
        )


def setting_summaries(effective: EffectiveConfiguration) -> tuple[SettingSummary, ...]:
    """Return every setting that the cloud may change, with its value and origin."""
    return tuple(
        SettingSummary(key=dotted(place), value=_text(one.value), origin=str(one.origin))
        for place, one in effective.values.items()
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value, ensure_ascii=False, default=str)
