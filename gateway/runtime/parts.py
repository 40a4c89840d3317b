"""Group the parts of a gateway by what they serve: its state, the field, the cloud, the status page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from gateway.cloud.child_registrar import SETTLE
from gateway.cloud.enrolment import CHECK_NETWORK_EVERY, RETRY_EVERY, Enrolment
from gateway.cloud.revocation import RevocationTiming
from gateway.cloud.server_clock import ServerClock
from gateway.cloud.session import Session
from gateway.field.children.availability import Availability
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.children.intake import DeviceIntake
from gateway.field.configuration.device_settings import CHECK_EVERY
from gateway.field.configuration.map_trials import SHORTEST_REST
from gateway.field.fleet import Fleet
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.reporter import Reporter
from gateway.field.telemetry.sampling import Sampler
from gateway.status.auth.token_file import PageTokens
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.server import StatusServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Waits that no operator needs to set, and that tests shorten."""

    register_retry_every: timedelta = RETRY_EVERY
    check_network_every: timedelta = CHECK_NETWORK_EVERY
    registration_settles_in: timedelta = SETTLE
    revocation: RevocationTiming = field(default_factory=RevocationTiming)
    check_for_changes_every: timedelta = timedelta(seconds=2)
    """Between two checks whether another process changed the store, or somebody the configuration file."""
    check_store_file_every: timedelta = timedelta(seconds=1)
    """Between two looks whether the file of the store is still there."""
    hub_backoff_first: timedelta = timedelta(seconds=1)
    urgent_gap: timedelta = timedelta(seconds=3)
    """Between two urgent samples of one child."""
    missing_bus_after: timedelta = timedelta(seconds=60)
    """A child whose bus has not appeared by then is reported offline."""
    bus_lost_after: timedelta = timedelta(seconds=30)
    """A bus that is reopened sooner, as after a reset of its USB adapter, has no incident."""
    look_for_incidents_every: timedelta = timedelta(seconds=2)
    look_for_updates_every: timedelta = timedelta(minutes=1)
    """Between two looks whether the cloud has offered a newer version."""
    save_memory_every: timedelta = timedelta(seconds=60)
    check_settings_every: timedelta = CHECK_EVERY
    """Between two comparisons of the settings of a device with its configuration."""
    map_trial_rest: timedelta = SHORTEST_REST
    """At least so long between two rounds in which a changed point map is tried."""
    hook_restarts_within: timedelta = timedelta(seconds=30)
    """How long a firmware hook that has ended has to restart the gateway."""
    firmware_goes_on_after: timedelta = timedelta(seconds=5)
    """The first wait of a firmware installation after its child did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldParts:
    """What serves the buses and their children."""

    availability: Availability
    sampler: Sampler
    in_effect: ConfigurationsInEffect
    monitor: ChildMonitor
    intake: DeviceIntake
    reporter: Reporter
    fleet: Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudParts:
    """What serves the connection to the cloud."""

    enrolment: Enrolment
    session: Session
    clock: ServerClock
    """How far the clock of this machine is from that of the cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """The status page of a gateway."""

    server: StatusServer
    history: History
    kept_values: KeptValues
    tokens: PageTokens

    @property
    def new_token(self) -> str | None:
        """Its token in the run that created it, which is the only one that can show it."""
        return self.tokens.created
