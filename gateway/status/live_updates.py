"""Send the changes of each open page to its browsers: each page is rendered once for all its viewers.

aiohttp-sse is not used. It encodes each event once for each browser and keeps connections open with comments; here an event is
encoded once for all, the heartbeat is an event that the script of the page sees, and a browser that falls behind is dropped.
What is left for the library are the three lines of `ServerSentEvent`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway import strict_json
from gateway.errors import GatewayError
from gateway.status.render.pages import PageAddress, RenderedPage
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

REST_FACTOR: Final = 4
"""After each look, rest this many times as long as it took: open pages take a fifth of a processor at most."""
MAX_WATCHERS: Final = 100
MAX_OF_ONE: Final = 50
"""One client keeps at most so many pages live, so that others find room."""
MAX_QUEUED_EVENTS: Final = 4
"""A browser with more events in its queue is too slow; it is disconnected and starts again."""

HEARTBEAT: Final = b"event: beat\ndata:\n\n"
"""Lets the script of the page notice a connection that was cut silently, which looks open for hours."""


class TooManyWatchers(Exception):
    """No further page can be kept live."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event for all watchers of a page: regions that changed, or that the page is gone."""

    payload: bytes
    """The bytes that are sent, encoded once for all watchers."""

    @classmethod
    def of_regions(cls, version: str, regions: Mapping[str, str]) -> ServerSentEvent:
        """Return the event that replaces regions; `version` is that of the page afterwards."""
        return cls(f"id: {version}\nevent: regions\ndata: {strict_json.dumps(regions)}\n\n".encode())


PAGE_GONE: Final = ServerSentEvent(b"event: gone\ndata:\n\n")


class PageWatcher:
    """The event queue of one browser that shows a page."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()
        self.is_dropped = False
        """It did not keep up, or the server stops; it receives nothing more."""

    def send(self, event: ServerSentEvent) -> None:
        """Queue an event; a watcher with too many queued events is dropped."""
        if self._events.qsize() >= MAX_QUEUED_EVENTS:
            self.drop()
        elif not self.is_dropped:
            self._events.put_nowait(event)

    def drop(self) -> None:
        """Send it nothing more."""
        self.is_dropped = True
        self._events.put_nowait(None)

    async def next_payload(self, *, within_seconds: float) -> bytes | None:
        """Return the bytes to send next: an event, a heartbeat if none came in time, `None` when it was dropped."""
        try:
            async with asyncio.timeout(within_seconds):
                event = await self._events.get()
        except TimeoutError:
            return HEARTBEAT
        return None if self.is_dropped or event is None else event.payload


class LiveUpdates:
    """Renders each watched page every other second, and sends its watchers what changed."""

    def __init__(self, render: Callable[[PageAddress], Awaitable[RenderedPage | None]], *, every: timedelta) -> None:
        """Watch the pages that `render` returns; `None` stands for a page that does not exist."""
        self._render = render
        self._every_seconds = every.total_seconds()
        self._pages: dict[PageAddress, RenderedPage] = {}
        self._watchers: dict[PageAddress, set[PageWatcher]] = {}
        self._of_client: Counter[str] = Counter()
        """How many pages each client watches, or is about to."""
        self._is_watched = asyncio.Event()
        self._failing: set[PageAddress] = set()

    @property
    def watchers(self) -> int:
        """The number of open pages."""
        return sum(len(watchers) for watchers in self._watchers.values())

    @asynccontextmanager
    async def watch(self, address: PageAddress, *, seen: str, client: str = "") -> AsyncIterator[PageWatcher]:
        """Watch one page, beginning with what changed since the version that was seen.

        Raises:
            TooManyWatchers: there are too many already, in all or of this client.
        """
        if self._of_client.total() >= MAX_WATCHERS or self._of_client[client] >= MAX_OF_ONE:
            raise TooManyWatchers
        self._of_client[client] += 1  # before the page is rendered, since further ones may come meanwhile
        try:
            async with self._watch(address, seen) as watcher:
                yield watcher
        finally:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    @asynccontextmanager
    async def _watch(self, address: PageAddress, seen: str) -> AsyncIterator[PageWatcher]:
        page = await self._update(address)
        watcher = PageWatcher()
        if page is None:
            watcher.send(PAGE_GONE)
        elif page.version != seen:
            watcher.send(ServerSentEvent.of_regions(page.version, {name: page.html(name) for name in page.regions}))
        self._watchers.setdefault(address, set()).add(watcher)
        self._is_watched.set()
        try:
            yield watcher
        finally:
            self._remove(address, watcher)

    async def run(self) -> None:
        """Update the watched pages until cancelled; rest while there is no watcher."""
        while True:
            await self._is_watched.wait()
            await asyncio.sleep(self._every_seconds)
            for address in list(self._watchers):
                started_at = loop_time()
                await self._try_to_update(address)
                self._forget_if_unwatched(address)  # its last watcher may have left while it was rendered
                await asyncio.sleep(REST_FACTOR * (loop_time() - started_at))

    def close(self) -> None:
        """Drop all watchers."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.drop()

    async def _try_to_update(self, address: PageAddress) -> None:
        """Update a page; log once that this fails, and once that it works again."""
        was_failing = address in self._failing
        try:
            await self._update(address)
        except GatewayError as error:
            self._failing.add(address)
            if not was_failing:
                log.error("the open page %r is not updated any more: %s", address.kind, error)  # noqa: TRY400 - not a bug, and the text says all
        except Exception:  # the buses run in the same task group: a bug in a page must cost its watchers only
            self._failing.add(address)
            if not was_failing:
                log.exception("the open page %r is not updated any more", address.kind)
        else:
            self._failing.discard(address)
            if was_failing:
                log.info("the open page %r is updated again", address.kind)

    async def _update(self, address: PageAddress) -> RenderedPage | None:
        """Render a page and send its watchers what changed, so that all of them have seen the same."""
        page = await self._render(address)
        before = self._pages.pop(address, None)
        if page is None:
            self._send(address, PAGE_GONE)
            return None
        self._pages[address] = page
        if before is not None and (changed := page.changes_since(before)):
            self._send(address, ServerSentEvent.of_regions(page.version, changed))
        return page

    def _send(self, address: PageAddress, event: ServerSentEvent) -> None:
        for watcher in self._watchers.get(address, ()):
            watcher.send(event)

    def _remove(self, address: PageAddress, watcher: PageWatcher) -> None:
        self._watchers[address].discard(watcher)
        if not self._watchers[address]:
            del self._watchers[address]
        self._forget_if_unwatched(address)
        if not self._watchers:
            self._is_watched.clear()

    def _forget_if_unwatched(self, address: PageAddress) -> None:
        if address not in self._watchers:
            self._pages.pop(address, None)
            self._failing.discard(address)
