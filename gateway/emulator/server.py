"""The emulator as a whole: one world behind two ports, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from errno import EADDRINUSE
from pathlib import Path
from ssl import SSLContext
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web

from gateway.emulator import entry_endpoints, hub_endpoints
from gateway.emulator.api_routes import Wire, elsewhere
from gateway.emulator.api_types import Call
from gateway.emulator.cloud import Cloud, utc_now
from gateway.emulator.control import Control
from gateway.emulator.faults import Faults
from gateway.emulator.http import json_errors
from gateway.emulator.journal import Journal, JournalEntry, ServerName
from gateway.emulator.quirks import Quirks
from gateway.emulator.state_file import Disk
from gateway.errors import StoreError

log = logging.getLogger(__name__)

BODY_BYTES: Final = 64 * 1024 * 1024
"""No call of Xyte's has a published limit this high; a dump may be large."""
SAVE_EVERY_SECONDS: Final = 1.0
STOP_SECONDS: Final = 0.1
"""How long a stopping server waits for calls in hand, twice."""
EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound


class Emulator:
    """An honest small Xyte: entry server and hub server on two ports of one host.

    Any GUID is a good hardware key or model id unless `hardware_keys` or `models` say which are; see `Cloud`. Ports 0 take free
    ones. With a `store` file the world survives a restart: what changes lastingly is in the file before it is answered, telemetry
    within a second, what Python changes through `cloud` with the next call and at the end. Quirks, faults, rate limits, dumps
    and the journal are not kept.

    When `host` is a wildcard address, clients are told the hub under the host name by which they reached the entry server. An
    emulator that ended can be entered again, with the same world on the same ports: an outage.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        entry_port: int = 0,
        hub_port: int = 0,
        ssl_context: SSLContext | None = None,
        store: Path | None = None,
        hardware_keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        quirks: Quirks | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        on_call: Callable[[JournalEntry], None] | None = None,
    ) -> None:
        """Load the world.

        Raises:
            StoreError: the store cannot be read.
        """
        self._host = host
        self._ports: dict[ServerName, int] = {"entry": entry_port, "hub": hub_port}
        self._ssl_context = ssl_context
        self._disk = None if store is None else Disk(Path(store))
        self._is_unsaved = False
        self._is_disk_failing = False
        self._stack = AsyncExitStack()
        self.journal = Journal(on_call)
        self.faults = Faults()
        self.cloud = Cloud(
            quirks=quirks,
            clock=clock,
            journal=self.journal,
            hardware_keys=hardware_keys,
            models=models,
            holdings=None if self._disk is None else self._disk.load(),
        )

    @property
    def entry_url(self) -> str:
        """Where devices register, without a trailing slash."""
        return self._url("entry", self._local_host)

    @property
    def hub_url(self) -> str:
        """Where they go afterwards, without a trailing slash."""
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
            await self._open(stack, "entry", self._application("entry", entry_endpoints.CALLS, hub_endpoints.CALLS))
            await self._open(stack, "hub", self._application("hub", hub_endpoints.CALLS, entry_endpoints.CALLS))
            if self._disk is not None:
                saver = asyncio.create_task(self._save_now_and_then())
                stack.callback(saver.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Save the world and close both ports."""
        await self._stack.aclose()

    def _application(self, server: ServerName, own: tuple[Call[Cloud], ...], other: tuple[Call[Cloud], ...]) -> web.Application:
        wire = Wire(server=server, cloud=self.cloud, faults=self.faults, changed=self._note_change, hub_url=self._hub_url_for)
        application = web.Application(client_max_size=BODY_BYTES, middlewares=[json_errors(wire.record_unknown)])
        application.add_routes([wire.route(call) for call in own])
        there = {(call.method, call.path) for call in own}
        host: ServerName = "hub" if server == "entry" else "entry"
        application.add_routes([wire.route(elsewhere(call, host)) for call in other if (call.method, call.path) not in there])
        if server == "hub":
            names = frozenset(call.name for call in (*own, *other))
            control = Control(cloud=self.cloud, faults=self.faults, call_names=names, changed=self._note_change)
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
        if self._host not in EVERYWHERE:
            return self.hub_url
        try:
            return self._url("hub", urlsplit(f"//{request.host}").hostname or self._local_host)
        except ValueError:  # a Host header that is none
            return self.hub_url

    @property
    def _local_host(self) -> str:
        return "127.0.0.1" if self._host in EVERYWHERE else self._host

    def _url(self, server: ServerName, host: str) -> str:
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._ports[server]}"

    def _note_change(self, is_lasting: bool) -> None:  # noqa: FBT001 - the one thing it is told
        self._is_unsaved = True
        if is_lasting:
            self._try_to_save()

    def _try_to_save(self) -> None:
        """Save; a disk that fails while calls come in is told of once and does not fail the calls."""
        try:
            self._save()
            self._is_disk_failing = False
        except StoreError as error:
            if not self._is_disk_failing:
                log.error("emulator: %s", error)  # noqa: TRY400 - the sentence says it all
            self._is_disk_failing = True

    def _save(self) -> None:
        if self._disk is not None:
            self._disk.save(self.cloud.holdings)
        self._is_unsaved = False

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            if self._is_unsaved:
                self._try_to_save()
