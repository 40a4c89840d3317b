"""Find the devices whose configuration from the cloud did harm, so that the former one is back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.state.configurations import ConfigurationRecord, RefusalKind
from gateway.state.incidents import OpenIncident


def configuration_causes(
    records: Mapping[str | None, ConfigurationRecord], name_of: Callable[[str], str | None]
) -> Iterator[OpenIncident]:
    """Yield an incident for each device until another version of its configuration is in effect."""
    for child, record in records.items():
        problem = record.problem
        if problem is not None and problem.kind is RefusalKind.HARM:
            name = "the gateway" if child is None else name_of(child) or child
            yield OpenIncident(
                cause="configuration_rolled_back" if child is None else f"configuration_rolled_back:{child}",
                child=child,
                title=f"A configuration of {name} was taken back",
                what_to_do=f"Version {problem.version}: {problem.why}. It is not tried again. Correct the configuration in the"
                " cloud; the incident is closed when a version of it is in effect.",
            )
