"""Put the status page of a running gateway together, and serve it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from gateway.status.auth.access_control import TokenAuth
from gateway.status.base_server import BaseServer
from gateway.status.doctor_cache import DoctorCache
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.languages.texts import in_language
from gateway.status.listening.endpoint import Endpoint
from gateway.status.live_updates import LiveUpdates
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.routes.actions import Actions
from gateway.status.routes.child_life import LifeRoutes
from gateway.status.routes.children_api import ChildrenApi
from gateway.status.routes.claim import ClaimRoutes
from gateway.status.routes.command_pages import CommandRoutes
from gateway.status.routes.commands_api import CommandsApi
from gateway.status.routes.configuration import ConfigurationRoutes
from gateway.status.routes.configuration_api import ConfigurationApi
from gateway.status.routes.configuration_forms import ConfigurationForms
from gateway.status.routes.events_api import EventsApi
from gateway.status.routes.frames import FrameRoutes
from gateway.status.routes.gateway_api import GatewayApi
from gateway.status.routes.history_api import HistoryApi
from gateway.status.routes.html_pages import HtmlRoutes
from gateway.status.routes.key_change import KeyChangeRoutes
from gateway.status.routes.logs import LogRoutes
from gateway.status.routes.looks import LookRoutes
from gateway.status.routes.maintenance import MaintenanceRoutes
from gateway.status.routes.maintenance_api import MaintenanceApi
from gateway.status.routes.notifications import NotificationRoutes
from gateway.status.routes.notifications_api import NotificationsApi
from gateway.status.routes.page_events import events_of
from gateway.status.routes.probes import ProbeRoutes
from gateway.status.routes.restore import RestoreRoutes
from gateway.status.routes.restore_api import RestoreApi
from gateway.status.routes.retry import RetryRoutes
from gateway.status.routes.several import SeveralRoutes
from gateway.status.routes.several_api import SeveralApi
from gateway.status.routes.several_commands import SeveralCommands
from gateway.status.routes.several_forms import SeveralForms
from gateway.status.routes.topology import TopologyRoutes
from gateway.status.routes.value_pages import ValuePages
from gateway.status.several import SeveralResults
from gateway.status.snapshot_cache import SnapshotCache
from gateway.status.view import View

UPDATE_EVERY: Final = timedelta(seconds=2)


class StatusServer(BaseServer):
    """Serves the status page. It takes no snapshot while nobody looks."""

    def __init__(
        self,
        view: View,
        history: History,
        auth: TokenAuth,
        *,
        endpoint: Endpoint,
        update_every: timedelta = UPDATE_EVERY,
        hub_gone_limit: timedelta | None = None,
        kept_values: KeptValues | None = None,
        sign_in_help: SignInHelp | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            view: the gateway that is shown.
            history: the recent values of its children.
            auth: decides who may look and act.
            endpoint: where and how the page is served.
            update_every: how often an open page is updated.
            hub_gone_limit: `/readyz` fails when the hub is unreachable for longer; `None` for no limit.
            kept_values: the values of its children over longer times; `None`: there is the last hour alone.
            sign_in_help: what the sign-in page says; `None` for what fits every gateway.
        """
        super().__init__(auth, endpoint, sign_in_help)
        self._view = view
        values = kept_values if kept_values is not None else KeptValues(history)
        several = SeveralResults()
        renderer = self._renderer = PageRenderer(
            *(self._templates, history, view.child, view.device_actions, several),
            bus_details=view.bus_details,
            intervals=view.update_intervals,
        )
        self._logs = view.logs
        self._device_loads = view.device_loads
        snapshots = self._snapshots = SnapshotCache(view, fresh_seconds=min(1.0, update_every.total_seconds() / 2))
        doctor = self._doctor = DoctorCache(view)
        live = self._live = LiveUpdates(self._render, every=update_every)
        actions = Actions(view, snapshots)
        notifications = NotificationRoutes(view.notifications, snapshots, renderer)
        maintenance = MaintenanceRoutes(view.maintenance, snapshots, renderer, self._run_id)
        configuration = ConfigurationRoutes(view.configuration, snapshots, renderer, self._templates, self._run_id)
        several_commands = SeveralCommands(view.device_actions.commands, renderer.child_report)
        forms = SeveralForms(snapshots, renderer, several_commands, actions, several)
        for part in (
            HtmlRoutes(snapshots, live, renderer, doctor, self._templates, self._middleware, actions, view),
            GatewayApi(snapshots, doctor, actions, view),
            ChildrenApi(snapshots, renderer, actions),
            EventsApi(view),
            HistoryApi(snapshots, view.child, history, values),
            RetryRoutes(view, snapshots, self._templates),
            LogRoutes(view.logs, snapshots, renderer),
            maintenance,
            RestoreRoutes(view.restores, maintenance),
            TopologyRoutes(view, snapshots, renderer),
            RestoreApi(view.restores),
            notifications,
            NotificationsApi(view.notifications, notifications.testing),
            MaintenanceApi(view.maintenance),
            configuration,
            ConfigurationForms(view.configuration, configuration),
            ConfigurationApi(view.configuration),
            CommandRoutes(snapshots, renderer, self._templates, view.device_actions.commands),
            CommandsApi(snapshots, view.device_actions.commands),
            LookRoutes(snapshots, renderer, self._templates, view.device_actions.looks),
            FrameRoutes(snapshots, renderer, view.device_actions.frames),
            LifeRoutes(snapshots, renderer, self._templates, view.device_actions.life),
            SeveralRoutes(snapshots, renderer, self._templates, view.device_actions, several, forms),
            forms,
            SeveralApi(snapshots, several_commands, actions),
            ValuePages(snapshots, renderer, self._templates, history, values),
            ClaimRoutes(snapshots),
            KeyChangeRoutes(view, snapshots, self._templates),
            ProbeRoutes(snapshots, live, self._connections, self._work, hub_gone_limit=hub_gone_limit),
        ):
            self._add_routes(part.routes())

    async def run(self) -> None:
        """Listen and update open pages until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            stack.callback(self._live.close)
            await self._live.run()

    async def _render(self, address: PageAddress) -> RenderedPage | None:
        """Return a page in the language of those who have it open."""
        with in_language(await self._middleware.languages.find(address.language)):
            return await self._render_here(address)

    async def _render_here(self, address: PageAddress) -> RenderedPage | None:
        if address.kind == "doctor":
            return self._renderer.doctor_page(await self._doctor.last_report())
        if address.kind == "maintenance":
            return self._renderer.maintenance_page()
        if address.kind == "logs":
            return self._renderer.logs_page(address.log, self._logs)
        if address.kind == "topology":
            return self._renderer.topology_page(address.topology, await self._snapshots.snapshot(), self._device_loads)
        events = await events_of(self._view, address)
        return self._renderer.page(address, await self._snapshots.snapshot(), events)
