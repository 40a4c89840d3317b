"""Build what serves configurations from the cloud, beginning with what an earlier run has applied."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from gateway.cloud.commands.target import CommandPolicy
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.session import Session
from gateway.config.permissions import ceiling
from gateway.config.settings import Configuration
from gateway.errors import ConfigurationRejected
from gateway.field.children.device_limits import DeviceLimits
from gateway.models import Permission
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.configuration.targets import ChildTarget, ConfigurationTargets
from gateway.runtime.log_level import set_log_level
from gateway.runtime.parts import FieldParts
from gateway.state.configurations import Configurations, Refusal
from gateway.state.parts import StateParts

log = logging.getLogger(__name__)


async def restore_gateway(gateway: GatewayConfiguration, state: StateParts) -> None:
    """Begin with the configuration that the cloud had applied before; with the file alone where it does not fit any more."""
    record = state.configurations.of(None)
    if record.applied.content:
        try:
            gateway.restore(record.applied.content)
        except ConfigurationRejected as error:
            await _drop(None, "the gateway", error, state)
    level = gateway.effective.configuration.settings.log.level
    if level != gateway.base.settings.log.level:
        set_log_level(level)


async def restore_children(children: ChildTarget, state: StateParts) -> None:
    """Begin with the configurations of the children that the cloud had applied before."""
    for child, record in list(state.configurations.all.items()):
        if child is not None and child in state.registry.children and record.applied.content:
            try:
                children.restore(child, record.applied.content)
            except ConfigurationRejected as error:
                await _drop(child, state.registry.name_of(child) or child, error, state)


def build_configuring(gateway: GatewayConfiguration, children: ChildTarget, field: FieldParts, state: StateParts) -> Configuring:
    """Return the way of configurations to the gateway and its children."""

    def refusal(child: str | None) -> str | None:
        record = None if child is None else state.registry.children.get(child)
        return ceiling(gateway.base, None if record is None else record.child).refusal(Permission.CONFIGURE)

    return Configuring(
        target=ConfigurationTargets(gateway, children, field=field, registry=state.registry),
        refusal=refusal,
        watch_for=gateway.base.settings.cloud.configuration_watch,
        report_event=state.events.report,
    )


async def use_configuration(
    before: Configuration, after: Configuration, *, field: FieldParts, session: Session, policy: CommandPolicy
) -> None:
    """Put a configuration into effect in the running parts; buses whose settings are the same go on without a gap."""
    old, new = before.settings, after.settings
    field.reporter.set_interval(new.cloud.telemetry_every)
    session.use(telemetry_every=new.cloud.telemetry_every, command_policy=policy)
    if old.log.level != new.log.level:
        set_log_level(new.log.level)
    await field.fleet.replace(after.entries)
    limits = DeviceLimits.of(new.admission, after.entries)
    if (old.admission, old.models, DeviceLimits.of(old.admission, before.entries)) != (new.admission, new.models, limits):
        await field.intake.use_policy(new.admission.policy, new.models, limits)


def configuration_problem(configurations: Configurations, name_of: Callable[[str], str | None]) -> str | None:
    """Return why the newest configuration of the gateway, or else of one of its children, is not in effect."""
    return next(iter(_problems(configurations, name_of)), None)


def _problems(configurations: Configurations, name_of: Callable[[str], str | None]) -> Iterable[str]:
    for child, record in sorted(configurations.all.items(), key=lambda item: item[0] or ""):
        if (refusal := record.problem) is not None:
            name = "" if child is None else f"{name_of(child) or child}: "
            yield f"{name}configuration version {refusal.version}: {refusal.why}"


async def _drop(child: str | None, name: str, error: ConfigurationRejected, state: StateParts) -> None:
    record = state.configurations.of(child)
    why = f"it does not fit any more: {error}"
    log.warning("%s: configuration version %d is not in effect: %s", name, record.applied.version, why)
    await state.configurations.drop(child, Refusal(version=record.applied.version, why=why))
    text = f"configuration version {record.applied.version}: {why}"
    state.events.report(child, "configuration_refused", "configuration", text)
