"""Find out whether there is a newer version of the gateway: from what the cloud offers, and from an address of the configuration.

The cloud says it in its answers anyway. An address is asked only where the configuration names one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from gateway import __version__
from gateway.doctor.version import release_of, update_way
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.runtime.update_address import NoVersions, ask_versions
from gateway.state.firmware_jobs import FirmwareOffers
from gateway.state.registry import Registry
from gateway.status.snapshot import THE_CLOUD, UPDATE_STEPS, UpdateNotice

log = logging.getLogger(__name__)

CLOUD_EVERY: Final = timedelta(minutes=1)
ADDRESS_EVERY: Final = timedelta(days=1)
MOST_VERSIONS: Final = 1_000
"""So many entries of an answer are looked at."""

_NAMES: Final = ("version", "tag_name", "name", "tags", "results", "releases")
"""Where the versions are in the answers of release pages and of registries."""


def newest_in(answer: object) -> str | None:
    """Return the newest version in the answer of a release page or a registry; `None` where it has none."""
    found = {release: text for text in _texts(answer, depth=3) if (release := release_of(text)) is not None}
    return ".".join(map(str, max(found))) if found else None


class UpdateWatch:
    """Knows the newest version that the gateway was told of.

    Args:
        offers: what the cloud offers.
        registry: knows the id of the gateway in the cloud.
        address: is asked once a day; `None` to ask nobody.
        has_hook: the gateway can install firmware by a command of the cloud.
        running: the version that runs.
    """

    def __init__(
        self,
        offers: FirmwareOffers,
        registry: Registry,
        *,
        address: str | None,
        has_hook: bool,
        running: str = __version__,
    ) -> None:
        self._offers = offers
        self._registry = registry
        self._address = address
        self._has_hook = has_hook
        self._running = running
        self._told: dict[str, str] = {}
        self._logged: set[str] = set()
        self.problem: str | None = None
        """Why the address could not be asked the last time."""

    @property
    def notice(self) -> UpdateNotice | None:
        """The newest version, where it is newer than the one that runs, and what to do."""
        own = release_of(self._running)
        newer = [(release, who) for who, text in self._told.items() if (release := release_of(text)) is not None]
        if own is None or not newer or max(newer)[0] <= own:
            return None
        release, who = max(newer)
        way = update_way(has_hook=self._has_hook, is_of_cloud=who == THE_CLOUD)
        return UpdateNotice(version=".".join(map(str, release)), told_by=who, what_to_do=UPDATE_STEPS[way])

    async def run(self, *, cloud_every: timedelta = CLOUD_EVERY, address_every: timedelta = ADDRESS_EVERY) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_cloud(cloud_every))
            if self._address is not None:
                group.create_task(self._follow_address(self._address, cloud_every, address_every))

    def findings(self) -> Iterator[Finding]:
        """Yield what `doctor` says of the version that runs, besides what the cloud offers, which it looks up itself."""
        notice = self.notice
        if notice is not None and notice.told_by == THE_CLOUD:
            return
        if notice is not None:
            what = f"{self._running} runs, and {notice.version} is available, as {notice.told_by} says"
            yield Finding.warning("version", what, notice.what_to_do)
        elif self.problem is not None:
            what = f"{self._running} runs; {self._host} cannot be asked for newer ones: {self.problem}"
            yield Finding.warning("version", what, "check `update_check` of [status], or leave it out")
        else:
            asked = f"the cloud{'' if self._address is None else f' and {self._host}'}"
            yield Finding.fine("version", f"{self._running} runs, and no newer one is known from {asked}")

    async def _follow_cloud(self, every: timedelta) -> None:
        while True:
            record = self._registry.gateway
            if record is not None and record.credentials is not None:
                try:
                    offer = await self._offers.of(record.credentials.device_id)
                except StoreError:  # it is an incident of its own
                    offer = None
                if offer is not None:
                    self._take(THE_CLOUD, offer.version)
            await asyncio.sleep(every.total_seconds())

    async def _follow_address(self, address: str, first_after: timedelta, every: timedelta) -> None:
        await asyncio.sleep(first_after.total_seconds())
        while True:
            try:
                newest = newest_in(await ask_versions(address))
                problem = None if newest is not None else "its answer names no version"
            except NoVersions as error:
                newest, problem = None, str(error)
            if problem is not None and self.problem is None:
                log.info("%s cannot be asked for newer versions: %s", self._host, problem)
            self.problem = problem
            if newest is not None:
                self._take(self._host, newest)
            await asyncio.sleep(every.total_seconds())

    def _take(self, who: str, version: str) -> None:
        self._told[who] = version
        notice = self.notice
        if notice is not None and notice.version not in self._logged:
            self._logged.add(notice.version)
            log.info("version %s is available, as %s says; %s runs", notice.version, notice.told_by, self._running)

    @property
    def _host(self) -> str:
        return urlsplit(self._address or "").hostname or "the address"


def _texts(answer: object, *, depth: int) -> Iterator[str]:
    """Yield the texts that may be versions: one, a list, or what a table has under the usual names."""
    if isinstance(answer, str):
        yield answer
    elif depth == 0:
        return
    elif isinstance(answer, list):
        for one in answer[:MOST_VERSIONS]:
            yield from _texts(one, depth=depth - 1)
    elif isinstance(answer, dict):
        for name in _NAMES:
            yield from _texts(answer.get(name), depth=depth - 1)
