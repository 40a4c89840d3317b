"""Run the emulator: one emulated cloud behind several ports, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from errno import EADDRINUSE
from functools import partial
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web

from gateway.emulator import entry_endpoints, hub_endpoints
from gateway.emulator.addresses import ServerAddress
from gateway.emulator.api_routes import ApiRoutes, wrong_host_endpoint
from gateway.emulator.api_types import BaseUrls, Endpoint
from gateway.emulator.cloud import Cloud
from gateway.emulator.control import ControlSurface
from gateway.emulator.device_registry import utc_now
from gateway.emulator.faults import DOWNLOAD, FaultQueue
from gateway.emulator.file_server import FileServer
from gateway.emulator.http import json_errors
from gateway.emulator.journal import Journal, JournalEntry, ServerName
from gateway.emulator.offline import check_devices
from gateway.emulator.quirks import Quirks
from gateway.emulator.state_file import StateFile
from gateway.errors import StoreError
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

BODY_BYTES: Final = 64 * 1024 * 1024
"""No call of Xyte has a documented limit this high; a dump may be large."""
SAVE_EVERY_SECONDS: Final = 1.0
STOP_SECONDS: Final = 0.1
"""The time that a stopping server waits for running calls, twice."""
HUBS: Final[tuple[ServerName, ...]] = ("hub", "static")
FILE_HOSTS: Final[tuple[tuple[ServerName, ServerName], ...]] = (("files", "elsewhere"), ("elsewhere", "files"))
"""Each host of the file server, and the one that it redirects to."""
OFFLINE_TICK_SECONDS: Final = 0.2
"""How often it is looked whether a check for devices that are offline is due."""


class Emulator:
    """A small Xyte: entry server, hub server, the hub with the static certificate, and a server for model files.

    Each has its own port, and on loopback the last two have their own hosts.

    Any GUID is a valid hardware key or model id unless `hardware_keys` or `models` list the valid ones; see `Cloud`. Port 0 takes
    a free one. With a `store` file the cloud survives a restart: lasting changes are in the file before the call is answered,
    telemetry within a second, changes made in Python through `cloud` with the next call and at the end. Quirks, faults, rate
    limits, dumps, the contents of files and the journal are not saved.

    When `host` is a wildcard address, clients get the hub URL with the host name by which they reached the entry server. An
    emulator that ended can be entered again, with the same cloud on the same ports: that simulates an outage.
    """

    def __init__(
        self,
        address: ServerAddress | None = None,
        *,
        store: Path | None = None,
        hardware_keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        quirks: Quirks | None = None,
        clock: Callable[[], datetime] = utc_now,
        on_call: Callable[[JournalEntry], None] | None = None,
    ) -> None:
        """Load the state file.

        Raises:
            StoreError: the state file cannot be read.
        """
        address = address if address is not None else ServerAddress()
        self._address = address
        self._ports: dict[ServerName, int] = {}
        self._state_file = None if store is None else StateFile(Path(store))
        self._is_unsaved = False
        self._is_state_file_failing = False
        self._stack = AsyncExitStack()
        self.journal = Journal(on_call)
        self.faults = FaultQueue()
        self.cloud = Cloud(
            quirks=quirks,
            clock=clock,
            journal=self.journal,
            hardware_keys=hardware_keys,
            models=models,
            saved_state=None if self._state_file is None else self._state_file.load(),
        )

    @property
    def entry_url(self) -> str:
        """The URL of the entry server, where devices register, without a trailing slash."""
        return self._url("entry")

    @property
    def hub_url(self) -> str:
        """The URL of the hub server, without a trailing slash."""
        return self._url("hub")

    @property
    def static_hub_url(self) -> str:
        """The URL of the hub with the static certificate."""
        return self._url("static")

    @property
    def files_url(self) -> str:
        """The URL of the server that has the contents of model files."""
        return self._url("files")

    async def __aenter__(self) -> Self:
        """Open all ports.

        Raises:
            StoreError: the store cannot be written.
            OSError: a port is in use, or the host is not one of this machine; `strerror` is a sentence for people.
        """
        self._save()
        async with AsyncExitStack() as stack:
            stack.callback(self._save)
            await self._open(stack, "entry", self._application("entry", entry_endpoints.ENDPOINTS, hub_endpoints.ENDPOINTS))
            for server in HUBS:
                await self._open(stack, server, self._application(server, hub_endpoints.ENDPOINTS, entry_endpoints.ENDPOINTS))
            for server, other in FILE_HOSTS:
                files = FileServer(cloud=self.cloud, faults=self.faults, elsewhere_url=partial(self._url_for, other))
                await self._open(stack, server, files.application(server))
            periodic = [asyncio.create_task(self._check_periodically())]
            if self._state_file is not None:
                periodic.append(asyncio.create_task(self._save_periodically()))
            for task in periodic:
                stack.callback(task.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Save the state and close all ports."""
        await self._stack.aclose()

    def _application(
        self, server: ServerName, own: tuple[Endpoint[Cloud], ...], other: tuple[Endpoint[Cloud], ...]
    ) -> web.Application:
        routes = ApiRoutes(
            server=server, cloud=self.cloud, faults=self.faults, changed=self._note_change, base_urls=self._base_urls_for
        )
        application = web.Application(client_max_size=BODY_BYTES, middlewares=[json_errors(routes.record_unknown)])
        application.add_routes([routes.route(call) for call in own])
        there = {(call.method, call.path) for call in own}
        host: ServerName = "hub" if server == "entry" else "entry"
        application.add_routes(
            [routes.route(wrong_host_endpoint(call, host)) for call in other if (call.method, call.path) not in there]
        )
        if server == "hub":
            names = frozenset(call.name for call in (*own, *other)) | {DOWNLOAD}
            control = ControlSurface(
                cloud=self.cloud,
                faults=self.faults,
                call_names=names,
                changed=self._note_change,
                base_urls=self._base_urls_for,
            )
            application.add_routes(control.routes())
        return application

    async def _open(self, stack: AsyncExitStack, server: ServerName, application: web.Application) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        host, port = self._address.listening_host(server), self._ports.get(server, self._address.port(server))
        try:
            await web.TCPSite(runner, host, port, ssl_context=self._address.tls(server)).start()
        except OSError as error:
            reason = "is in use" if error.errno == EADDRINUSE else error.strerror
            raise OSError(error.errno, f"{server} port {port} of {host}: {reason}") from error
        self._ports[server] = runner.addresses[0][1]

    def _base_urls_for(self, request: web.Request) -> BaseUrls:
        return BaseUrls(
            hub=self._url_for("hub", request), static_hub=self._url_for("static", request), files=self._url_for("files", request)
        )

    def _url_for(self, server: ServerName, request: web.Request) -> str:
        """Return the URL under which the client of this request reaches a server."""
        try:
            return self._url(server, urlsplit(f"//{request.host}").hostname)
        except ValueError:  # an invalid Host header
            return self._url(server)

    def _url(self, server: ServerName, host: str | None = None) -> str:
        return self._address.url(server, self._ports.get(server, self._address.port(server)), host)

    def _note_change(self, is_lasting: bool) -> None:  # noqa: FBT001 - its only argument
        self._is_unsaved = True
        if is_lasting:
            self._try_to_save()

    def _try_to_save(self) -> None:
        """Save; a failing disk is logged once and does not fail the calls."""
        try:
            self._save()
            self._is_state_file_failing = False
        except StoreError as error:
            if not self._is_state_file_failing:
                log.error("emulator: %s", error)  # noqa: TRY400 - the text is complete without a traceback
            self._is_state_file_failing = True

    def _save(self) -> None:
        if self._state_file is not None:
            self._state_file.save(self.cloud.saved_state)
        self._is_unsaved = False

    async def _save_periodically(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            if self._is_unsaved:
                self._try_to_save()

    async def _check_periodically(self) -> None:
        """Look for devices that are offline, as often as the quirk says; a change of it takes effect at once."""
        checked_at = loop_time()
        while True:
            await asyncio.sleep(OFFLINE_TICK_SECONDS)
            if loop_time() - checked_at >= self.cloud.quirks.offline_check_seconds:
                checked_at = loop_time()
                if check_devices(self.cloud):
                    self._note_change(True)  # noqa: FBT003 - its only argument
