"""Run the emulator: one emulated cloud behind two ports, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from errno import EADDRINUSE
from pathlib import Path
from ssl import SSLContext
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web

from gateway.emulator import entry_endpoints, hub_endpoints
from gateway.emulator.api_routes import ApiRoutes, wrong_host_endpoint
from gateway.emulator.api_types import Endpoint
from gateway.emulator.cloud import Cloud, utc_now
from gateway.emulator.control import ControlSurface
from gateway.emulator.faults import FaultQueue
from gateway.emulator.http import json_errors
from gateway.emulator.journal import Journal, JournalEntry, ServerName
from gateway.emulator.quirks import Quirks
from gateway.emulator.state_file import StateFile
from gateway.errors import StoreError

log = logging.getLogger(__name__)

BODY_BYTES: Final = 64 * 1024 * 1024
"""No call of Xyte has a documented limit this high; a dump may be large."""
SAVE_EVERY_SECONDS: Final = 1.0
STOP_SECONDS: Final = 0.1
"""The time that a stopping server waits for running calls, twice."""
WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """The host and the two ports on which the emulator listens."""

    host: str = "127.0.0.1"
    entry_port: int = 0
    hub_port: int = 0
    ssl_context: SSLContext | None = None
    """Makes both servers speak HTTPS."""


class Emulator:
    """A small Xyte: entry server and hub server on two ports of one host.

    Any GUID is a valid hardware key or model id unless `hardware_keys` or `models` list the valid ones; see `Cloud`. Port 0 takes
    a free one. With a `store` file the cloud survives a restart: lasting changes are in the file before the call is answered,
    telemetry within a second, changes made in Python through `cloud` with the next call and at the end. Quirks, faults, rate
    limits, dumps and the journal are not saved.

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
        self._host = address.host
        self._ports: dict[ServerName, int] = {"entry": address.entry_port, "hub": address.hub_port}
        self._ssl_context = address.ssl_context
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
        return self._url("entry", self._local_host)

    @property
    def hub_url(self) -> str:
        """The URL of the hub server, without a trailing slash."""
        return self._url("hub", self._local_host)

    async def __aenter__(self) -> Self:
        """Open both ports.

        Raises:
            StoreError: the store cannot be written.
            OSError: a port is in use, or the host is not one of this machine; `strerror` is a sentence for people.
        """
        self._save()
        async with AsyncExitStack() as stack:
            stack.callback(self._save)
            await self._open(stack, "entry", self._application("entry", entry_endpoints.ENDPOINTS, hub_endpoints.ENDPOINTS))
            await self._open(stack, "hub", self._application("hub", hub_endpoints.ENDPOINTS, entry_endpoints.ENDPOINTS))
            if self._state_file is not None:
                saver = asyncio.create_task(self._save_periodically())
                stack.callback(saver.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Save the state and close both ports."""
        await self._stack.aclose()

    def _application(
        self, server: ServerName, own: tuple[Endpoint[Cloud], ...], other: tuple[Endpoint[Cloud], ...]
    ) -> web.Application:
        routes = ApiRoutes(
            server=server, cloud=self.cloud, faults=self.faults, changed=self._note_change, hub_url=self._hub_url_for
        )
        application = web.Application(client_max_size=BODY_BYTES, middlewares=[json_errors(routes.record_unknown)])
        application.add_routes([routes.route(call) for call in own])
        there = {(call.method, call.path) for call in own}
        host: ServerName = "hub" if server == "entry" else "entry"
        application.add_routes(
            [routes.route(wrong_host_endpoint(call, host)) for call in other if (call.method, call.path) not in there]
        )
        if server == "hub":
            names = frozenset(call.name for call in (*own, *other))
            control = ControlSurface(cloud=self.cloud, faults=self.faults, call_names=names, changed=self._note_change)
            application.add_routes(control.routes())
        return application

    async def _open(self, stack: AsyncExitStack, server: ServerName, application: web.Application) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = self._ports[server]
        try:
            await web.TCPSite(runner, self._host, port, ssl_context=self._ssl_context).start()
        except OSError as error:
            reason = "is in use" if error.errno == EADDRINUSE else error.strerror
            raise OSError(error.errno, f"{server} port {port} of {self._host}: {reason}") from error
        self._ports[server] = runner.addresses[0][1]

    def _hub_url_for(self, request: web.Request) -> str:
        if self._host not in WILDCARD_HOSTS:
            return self.hub_url
        try:
            return self._url("hub", urlsplit(f"//{request.host}").hostname or self._local_host)
        except ValueError:  # an invalid Host header
            return self.hub_url

    @property
    def _local_host(self) -> str:
        return "127.0.0.1" if self._host in WILDCARD_HOSTS else self._host

    def _url(self, server: ServerName, host: str) -> str:
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._ports[server]}"

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
