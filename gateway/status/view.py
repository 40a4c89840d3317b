"""Define what the status page needs from the gateway; `gateway.runtime.view` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.models import Finding
from gateway.status.buses_view import BusesView
from gateway.status.configuration_view import ConfigurationView
from gateway.status.device_actions_view import DeviceActionsView
from gateway.status.key_change_view import KeyChangeView
from gateway.status.logs_view import LogsView
from gateway.status.maintenance_view import MaintenanceView, RestoreView
from gateway.status.notifications_view import NotificationsView
from gateway.status.retry_view import RetryView
from gateway.status.snapshot import ChildDetails, Snapshot
from gateway.status.timeline_view import TimelineView
from gateway.status.topology_view import TopologyView
from gateway.status.update_intervals import UpdateIntervalsView


class View(BusesView, RetryView, DeviceActionsView, TimelineView, KeyChangeView, TopologyView, UpdateIntervalsView, Protocol):
    """The state of the gateway, and the few actions that a person can take on the page.

    An action returns `None` when it succeeds, otherwise the reason, as a text for the person who asked.
    """

    @property
    def logs(self) -> LogsView:
        """The log of the gateway."""

    @property
    def maintenance(self) -> MaintenanceView:
        """Diagnostics, backup and restart."""

    @property
    def restores(self) -> RestoreView:
        """The restore of a backup that is uploaded."""

    @property
    def notifications(self) -> NotificationsView:
        """The ways in which incidents are told."""

    @property
    def configuration(self) -> ConfigurationView:
        """The configuration of the gateway, to be edited."""

    async def snapshot(self) -> Snapshot:
        """Return the current state. Called at most once a second, however many pages are open."""

    def child(self, key: str) -> ChildDetails | None:
        """Return everything that is known about one child, `None` when there is no such child."""

    async def store_problem(self) -> str | None:
        """Try to write to the store, and return why that fails; `None` when it works."""

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine, for at most ten seconds."""

    async def admit(self, key: str) -> str | None:
        """Admit a found device as a child, whatever the policy says."""

    async def ignore(self, key: str) -> str | None:
        """Ignore a found device from now on."""

    async def rename(self, key: str, name: str | None) -> str | None:
        """Rename a device, whether it is a child or not; `None` restores the name that it was found under.

        The name is one of `parse_name`.
        """

    async def decide_identity(self, decision: str) -> str | None:
        """Decide about a store that comes from another machine: `keep` its identity, or become a `new` gateway."""

    async def rescan(self, entry: str, bus: str) -> str | None:
        """Search this bus for new devices now."""
