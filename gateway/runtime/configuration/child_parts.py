"""Build what puts the configurations of children into effect: on buses, in readings, in the devices themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.permissions import ceiling
from gateway.config.settings import Configuration
from gateway.field.child_buses import ChildBuses
from gateway.field.configuration.child_configurations import ChildConfigurations
from gateway.field.configuration.device_settings import DeviceSettings, SettingsAccess
from gateway.field.configuration.map_trials import MapTrials
from gateway.models import Permission
from gateway.runtime.parts import FieldParts, Timing
from gateway.state.parts import StateParts


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildConfigurationParts:
    """What serves the configurations of children."""

    configurations: ChildConfigurations
    settings: DeviceSettings
    map_trials: MapTrials


def build_child_configurations(
    configuration: Callable[[], Configuration], state: StateParts, field: FieldParts, *, timing: Timing
) -> ChildConfigurationParts:
    """Return what serves the configurations of children.

    Args:
        configuration: returns that of the file and the environment, which limits what the cloud may do.
        state: what survives a restart.
        field: the buses and the children.
        timing: waits that tests shorten.
    """
    registry, buses = state.registry, ChildBuses(state.registry, field.fleet)

    def may_write(child: str) -> bool:
        record = registry.children.get(child)
        return record is not None and ceiling(configuration(), record.child).refusal(Permission.CONFIGURE) is None

    access = SettingsAccess(
        run=buses.do,
        run_in_gaps=buses.step,
        may_write=may_write,
        is_tried=lambda child: state.configurations.of(child).tried is not None,
        report_event=state.events.report,
        check_every=timing.check_settings_every,
    )
    settings = DeviceSettings(registry, field.availability, field.in_effect, state.original_settings, access)
    field.monitor.add_listener(settings.note_change)
    configurations = ChildConfigurations(registry, field.fleet, field.in_effect, settings)
    trials = MapTrials(
        registry,
        field.fleet,
        state.point_maps,
        field.in_effect,
        run_in_gaps=buses.step,
        report_event=state.events.report,
        rest=timing.map_trial_rest,
    )
    return ChildConfigurationParts(configurations=configurations, settings=settings, map_trials=trials)
