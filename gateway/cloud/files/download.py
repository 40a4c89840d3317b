"""Fetch a file into a folder beside the store: from a trusted server, of bounded size, with its checksum verified."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from pydantic import SecretStr

from gateway.backoff import Backoff
from gateway.cloud.files.checksums import Checksum, new_hash, parse_checksum
from gateway.cloud.files.links import LinkPolicy, file_name_of
from gateway.cloud.protocol.trusted_urls import host_of
from gateway.errors import FileRefused, HubUnreachable
from gateway.hub import FileResponse, FileServers
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

MOST_REDIRECTS = 5
ATTEMPTS = 4
"""How often a download is begun, which a lost connection ends."""

DOWNLOAD_SECONDS = 3600.0
"""The longest that one attempt may take: a server that sends a byte now and then must not hold a command for ever."""

KEPT_FREE_BYTES = 64 * 1024 * 1024
"""The space that a file leaves free for the store."""

PART = ".part"
"""The end of the name of a file that is not complete."""

TELL_EVERY_SECONDS = 5.0

REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file that a command names."""

    url: SecretStr
    """Perhaps with a signature that opens it."""
    name: str | None = None
    """Its name, where the link is not to say it."""
    checksum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A file that was received whole."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """What a file has to keep to."""

    most_bytes: int
    requires_checksum: bool = True


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a file is put, and what it has to have."""

    path: Path
    checksum: Checksum | None
    tell: Callable[[str], None]


class StagingFolder:
    """The folder beside the store for files that were received, one folder for each of them.

    Args:
        folder: created when it is needed.
        servers: the way to other servers.
        limits: what a file has to keep to.
        free_bytes: returns how much space is left in a folder.
        first_wait_seconds: how long to wait before a download is begun again for the first time.
    """

    def __init__(
        self,
        folder: Path,
        servers: FileServers,
        limits: FileLimits,
        *,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        first_wait_seconds: float = 1.0,
    ) -> None:
        self.folder = folder
        self._servers = servers
        self._limits = limits
        self._free_bytes = free_bytes
        self._first_wait_seconds = first_wait_seconds

    def clean(self, kept: Collection[str] = ()) -> None:
        """Remove what an earlier run left, apart from the whole files of these jobs."""
        for place in self.folder.iterdir() if self.folder.is_dir() else ():
            if place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)
            else:
                for part in place.glob(f"*{PART}"):
                    part.unlink(missing_ok=True)

    def remove(self, job: str) -> None:
        """Remove the file of a job."""
        shutil.rmtree(self.folder / job, ignore_errors=True)

    async def fetch(
        self, job: str, wanted: WantedFile, policy: LinkPolicy, tell: Callable[[str], None] = lambda _text: None
    ) -> StagedFile:
        """Return the file after it was received whole and its checksum was verified.

        Args:
            job: names the folder of the file.
            wanted: the file.
            policy: the servers that may be asked, by no key.
            tell: gets a sentence about how much has arrived, now and then; what it raises ends the download.

        Raises:
            FileRefused: it may not be fetched, or cannot be used; the text says why. Nothing of it is kept.
            HubUnreachable: its server does not answer, several times.
        """
        url = wanted.url.get_secret_value()
        policy.check(url)
        name = file_name_of(url, wanted.name)
        checksum = self._checksum(wanted)
        place = self.folder / job
        try:
            await asyncio.to_thread(_make_folder, place)
            return await self._fetch_patiently(url, policy, _Target(place / name, checksum, tell))
        except OSError as error:
            self.remove(job)
            raise FileRefused(f"the file cannot be written to {place.parent}: {error.strerror or error}") from error
        except BaseException:
            self.remove(job)
            raise

    async def _fetch_patiently(self, url: str, policy: LinkPolicy, target: _Target) -> StagedFile:
        """Fetch the file, and begin anew after a lost connection, some times."""
        backoff = Backoff(self._first_wait_seconds, 30)
        for attempt in count(1):
            try:
                async with asyncio.timeout(DOWNLOAD_SECONDS):
                    return await self._fetch_once(url, policy, target)
            except HubUnreachable as error:
                if attempt == ATTEMPTS:
                    raise
                log.info("the download is begun again: %s", error)
            except TimeoutError:
                raise FileRefused(f"the file did not arrive within {DOWNLOAD_SECONDS / 60:.0f} min") from None
            await asyncio.sleep(backoff.next_wait_seconds())
        raise AssertionError

    def _checksum(self, wanted: WantedFile) -> Checksum | None:
        if wanted.checksum:
            return parse_checksum(wanted.checksum)
        if self._limits.requires_checksum:
            raise FileRefused(
                "the file has no checksum, so a damaged one could not be told; `require_checksum` in [cloud] decides"
            )
        return None

    async def _fetch_once(self, url: str, policy: LinkPolicy, target: _Target) -> StagedFile:
        for _ in range(MOST_REDIRECTS + 1):
            async with self._servers.open_file(url) as response:
                if response.status in REDIRECTS and response.location:
                    url = policy.redirected(url, response.location)
                    continue
                if response.status // 100 != 2:
                    _refuse_status(url, response)
                self._check_size(response.length or 0, target.path.parent)
                return await self._receive(response, target)
        raise FileRefused(f"{host_of(url)} points to another link again and again")

    async def _receive(self, response: FileResponse, target: _Target) -> StagedFile:
        part = target.path.with_name(target.path.name + PART)
        expected, sha256, size, told_at = new_hash(target.checksum), hashlib.sha256(), 0, loop_time()
        with await asyncio.to_thread(part.open, "wb") as file:
            async for chunk in response.chunks():
                size += len(chunk)
                self._check_size(max(size, response.length or 0), part.parent, written=size)
                await asyncio.to_thread(_write, file, chunk)
                expected.update(chunk)
                sha256.update(chunk)
                if loop_time() - told_at >= TELL_EVERY_SECONDS:
                    told_at = loop_time()
                    target.tell(f"{size // 1024} KB of the file have arrived")
            await asyncio.to_thread(_flush, file)
        if response.length is not None and size != response.length:
            raise HubUnreachable(f"the file ended after {size} of {response.length} bytes", maybe_done=False)
        if size == 0:
            raise FileRefused("the file is empty")
        if target.checksum is not None:
            target.checksum.check(expected.digest())
        await asyncio.to_thread(part.replace, target.path)
        return StagedFile(path=target.path, size=size, sha256=sha256.hexdigest())

    def _check_size(self, size: int, folder: Path, *, written: int = 0) -> None:
        most = self._limits.most_bytes
        if size > most:
            raise FileRefused(f"the file has more than {most // 1024 // 1024} MB; `max_file_mb` in [cloud] decides")
        if size - written + KEPT_FREE_BYTES > self._free_bytes(folder):
            raise FileRefused(
                f"there is not enough space for the file: {size // 1024} KB, and {KEPT_FREE_BYTES // 1024 // 1024} MB stay free"
            )


def _refuse_status(url: str, response: FileResponse) -> None:
    what = f"the file cannot be fetched: {host_of(url)} answered {response.status}"
    if response.status >= 500 or response.status in {408, 429}:
        raise HubUnreachable(what, maybe_done=False, status=response.status)
    raise FileRefused(what)


def _make_folder(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
