"""What is shown, kept live: one snapshot and one look at each page for all who watch it, however many they are."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from time import monotonic
from typing import Final

from gateway.errors import GatewayError
from gateway.status.render.pages import Page, Topic
from gateway.status.snapshot import Snapshot
from gateway.status.view import View

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 1.0
REST: Final = 4
"""After each look so many times as long is rested as it took: open pages take a fifth of a processor at most, however many."""
MOST_WATCHERS: Final = 100
EVENTS_WAITING: Final = 4
"""Who lets so many events wait is too slow, and starts over."""

HEARTBEAT: Final = b"event: beat\ndata:\n\n"
"""Tells the page, not only the line, that somebody is there: a line that is cut without a word looks open for hours."""


class TooManyWatchers(Exception):
    """Nobody else can be served."""


class Latest:
    """The snapshot that everybody looks at."""

    def __init__(self, view: View, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._view = view
        self._fresh_seconds = fresh_seconds
        self._snapshot: Snapshot | None = None
        self._made_at = 0.0
        self._deeds = 0
        self._making = asyncio.Lock()
        self._store_problem: str | None = None
        self._tried_at = -inf
        self._trying = asyncio.Lock()

    async def snapshot(self) -> Snapshot:
        """Return how everything stands; made anew when the last one is older than a second."""
        async with self._making:
            if self._snapshot is None or monotonic() - self._made_at >= self._fresh_seconds:
                deeds = self._deeds
                self._snapshot = await self._view.snapshot()
                self._made_at = monotonic() if deeds == self._deeds else 0.0  # else it may be from before what was done
            return self._snapshot

    async def store_problem(self) -> str | None:
        """Return why nothing can be stored; tried at most once a second, since each try wears the disk."""
        async with self._trying:
            if monotonic() - self._tried_at >= self._fresh_seconds:
                self._store_problem = await self._view.store_problem()
                self._tried_at = monotonic()
            return self._store_problem

    def is_outdated(self) -> None:
        """Have the next one made anew: something was just done."""
        self._deeds += 1
        self._made_at = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """What watchers are told: regions of their page that changed, or that it is gone."""

    wire: bytes
    """As it goes over the line, made once for all."""

    @classmethod
    def of(cls, version: str, regions: Mapping[str, str]) -> Event:
        """Tell regions anew; `version` is what the page then shows."""
        return cls(f"id: {version}\nevent: regions\ndata: {json.dumps(regions)}\n\n".encode())


GONE: Final = Event(b"event: gone\ndata:\n\n")


class Watcher:
    """One page that is open somewhere."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.is_dropped = False
        """It did not keep up, or the gateway ends: it is told nothing any more."""

    def tell(self, event: Event) -> None:
        """Put an event into its line; too many of them drop the watcher."""
        if self._events.qsize() >= EVENTS_WAITING:
            self.drop()
        elif not self.is_dropped:
            self._events.put_nowait(event)

    def drop(self) -> None:
        """Tell it nothing any more."""
        self.is_dropped = True
        self._events.put_nowait(None)

    async def next(self, *, within_seconds: float) -> bytes | None:
        """Return what is to be sent next: an event, a heartbeat if none came in time, `None` when it was dropped."""
        try:
            async with asyncio.timeout(within_seconds):
                event = await self._events.get()
        except TimeoutError:
            return HEARTBEAT
        return None if self.is_dropped or event is None else event.wire


class Live:
    """Looks at each page that is open somewhere every other second, and tells its watchers what changed."""

    def __init__(self, page_of: Callable[[Topic], Awaitable[Page | None]], *, every: timedelta) -> None:
        """Show what `page_of` returns; it renders without waiting once it has its snapshot."""
        self._page_of = page_of
        self._every = every.total_seconds()
        self._shown: dict[Topic, Page] = {}
        self._watchers: dict[Topic, set[Watcher]] = {}
        self._is_watched = asyncio.Event()
        self._failing: set[Topic] = set()

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return sum(len(watchers) for watchers in self._watchers.values())

    @asynccontextmanager
    async def watch(self, topic: Topic, *, seen: str) -> AsyncIterator[Watcher]:
        """Watch one page, beginning with what changed since the version that was seen.

        Raises:
            TooManyWatchers: there is no room for another.
        """
        if self.watchers >= MOST_WATCHERS:
            raise TooManyWatchers
        page = await self._look_at(topic)
        watcher = Watcher()
        if page is None:
            watcher.tell(GONE)
        elif page.version != seen:
            watcher.tell(Event.of(page.version, page.regions))
        self._watchers.setdefault(topic, set()).add(watcher)
        self._is_watched.set()
        try:
            yield watcher
        finally:
            self._leave(topic, watcher)

    async def run(self) -> None:
        """Look and tell until cancelled; rest while nobody watches."""
        while True:
            await self._is_watched.wait()
            await asyncio.sleep(self._every)
            for topic in list(self._watchers):
                begun = monotonic()
                await self._try_to_look_at(topic)
                self._forget_if_unwatched(topic)  # the last one may have left while it was looked at
                await asyncio.sleep(REST * (monotonic() - begun))

    def close(self) -> None:
        """Send everybody away."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.drop()

    async def _try_to_look_at(self, topic: Topic) -> None:
        """Look, and say once when that fails and once when it works again."""
        was_failing = topic in self._failing
        try:
            await self._look_at(topic)
        except GatewayError as error:
            self._failing.add(topic)
            if not was_failing:
                log.error("the open page on %s stands still: %s", topic.kind, error)  # noqa: TRY400 - no bug, and it says all
        except Exception:  # the buses are served in the same task group: a bug in a page costs those who look at it, nobody else
            self._failing.add(topic)
            if not was_failing:
                log.exception("the open page on %s stands still", topic.kind)
        else:
            self._failing.discard(topic)
            if was_failing:
                log.info("the open page on %s is brought up to date again", topic.kind)

    async def _look_at(self, topic: Topic) -> Page | None:
        """Return the page as it is, and tell those who watch it what changed: all of them then have seen the same."""
        page = await self._page_of(topic)
        before = self._shown.pop(topic, None)
        if page is None:
            self._tell(topic, GONE)
            return None
        self._shown[topic] = page
        if before is not None and before.version != page.version:
            changed = {name: html for name, html in page.regions.items() if before.regions.get(name) != html}
            self._tell(topic, Event.of(page.version, changed))
        return page

    def _tell(self, topic: Topic, event: Event) -> None:
        for watcher in self._watchers.get(topic, ()):
            watcher.tell(event)

    def _leave(self, topic: Topic, watcher: Watcher) -> None:
        self._watchers[topic].discard(watcher)
        if not self._watchers[topic]:
            del self._watchers[topic]
        self._forget_if_unwatched(topic)
        if not self._watchers:
            self._is_watched.clear()

    def _forget_if_unwatched(self, topic: Topic) -> None:
        if topic not in self._watchers:
            self._shown.pop(topic, None)
            self._failing.discard(topic)
