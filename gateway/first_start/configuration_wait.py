"""Where a configuration is waited for that can be used: read again and again, with a page that says what to mend."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.file import file_exists, file_stamp
from gateway.config.loading import environment_names_buses
from gateway.config.mistakes import problem_location
from gateway.config.salvage import salvage
from gateway.config.settings import Configuration, StatusSection
from gateway.doctor.checks import examine
from gateway.doctor.known_config import read_known_config
from gateway.errors import GatewayError, SettingsError, SettingsProblem, StoreError
from gateway.first_start.config_proposal import proposal
from gateway.first_start.first_look import FirstLook
from gateway.models import Finding
from gateway.status.auth.access import TokenAuth
from gateway.status.auth.tokens import digest_of, load_or_create_token, log_new_token, new_token, token_file
from gateway.status.setup_server import SetupBus, SetupDevice, SetupProblem, SetupServer, SetupState

log = logging.getLogger(__name__)

READ_EVERY_SECONDS: Final = 2.0
TRY_AGAIN_SECONDS: Final = 10.0
"""What is wrong outside of the file, as with the store's folder, is tried again so often."""

END_SECONDS: Final = 5.0

NOTHING_TO_DO: Final = SettingsProblem(
    "file", "there is none here, and the environment names no bus", "Save the configuration here, or set XYTE_GATEWAY__ADAPTER"
)
"""A hardware key alone would start a gateway that nobody can add a bus to, and hide what is proposed."""


class Desk:
    """Waits for a person. Serves a page from the first thing that is wrong until the gateway takes its place."""

    def __init__(
        self,
        file: Path,
        read: Callable[[], Configuration],
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        look_in: Sequence[str] = (),
        read_every_seconds: float = READ_EVERY_SECONDS,
        try_again_seconds: float = TRY_AGAIN_SECONDS,
    ) -> None:
        """Wait for this file.

        Args:
            file: the configuration, there or not.
            read: reads it; raises what is wrong with it.
            adapters: those that look around a machine without a configuration.
            look_in: hosts that they may look at.
            read_every_seconds: how often the file is read again while it is wrong.
            try_again_seconds: how often that is tried again which a good configuration led to, and which failed.
        """
        self._file = file.absolute()  # a person looks for it from elsewhere
        self._read = read
        self._adapters = adapters
        self._look_in = look_in
        self._read_every = read_every_seconds
        self._try_again = try_again_seconds
        self._setup = SetupState(file=str(self._file), is_first_start=False)
        self._page: asyncio.Task[None] | None = None
        self._served: tuple[StatusSection, Path] | None = None
        self._has_had_file = False
        self._look: FirstLook | None = None
        self._looking: asyncio.Task[None] | None = None

    def setup(self) -> SetupState:
        """Return how it stands right now."""
        return self._setup

    async def examine(self) -> Sequence[Finding]:
        """Look at what else can keep the gateway from working on this machine."""
        file = self._file if file_exists(self._file) else None
        intake = await asyncio.to_thread(read_known_config, file, self._adapters)
        return [finding async for finding in examine(intake, self._adapters)]

    @property
    def headline(self) -> str:
        """How it stands, in a sentence."""
        return self._setup.headline

    async def configuration(self, failure: GatewayError | None = None) -> Configuration:
        """Return a configuration that can be used, as soon as there is one.

        Args:
            failure: why the gateway could not start with the last one: something that the file alone does not show.
        """
        if failure is not None:
            await self._wait_for_change(failure)
        while True:
            self._has_had_file |= file_exists(self._file)
            if self._is_first_start():
                await self._look_around()
            else:
                try:
                    configuration = await asyncio.to_thread(self._read)
                except SettingsError as error:
                    await self._show(error)
                else:
                    if configuration.file is not None or environment_names_buses():
                        return configuration
                    await self._show(SettingsError(self._file, [NOTHING_TO_DO]))
            await asyncio.sleep(self._read_every)

    async def _wait_for_change(self, failure: GatewayError) -> None:
        """Show the failure until the file is another one, or what was wrong outside of it may have been mended."""
        await self._show(failure)
        before, until = file_stamp(self._file), monotonic() + self._try_again
        while monotonic() < until and file_stamp(self._file) == before:  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(self._read_every)

    async def close(self) -> None:
        """Make room for the gateway's own page."""
        await _ended(self._looking)
        await _ended(self._page)
        self._page = self._looking = self._served = None

    async def _show(self, failure: GatewayError) -> None:
        """Show what is wrong, and log it where it is news."""
        mistakes = _mistakes(failure, self._file)
        if mistakes != self._setup.mistakes:
            for one in mistakes:
                log.error("%s: %s: %s. %s", one.place, one.where, one.wrong, one.right)
            log.warning("the gateway starts by itself once that is mended; until then it waits")
        self._setup = self._setup.model_copy(update={"mistakes": mistakes})
        await self._open_page()

    async def _open_page(self) -> None:
        """Serve the page where file and environment say, as far as they can be understood."""
        basics = salvage(self._file)
        wanted = basics.status, basics.store.path  # beside the store lies what tells who may come in
        if self._served == wanted:
            return
        await _ended(self._page)
        self._served = wanted
        if basics.status.enabled:
            auth = TokenAuth(_digest(basics.store.path), host=basics.status.host)
            server = SetupServer(self, auth, host=basics.status.host, port=basics.status.port)
            self._page = asyncio.create_task(server.run())

    # what is found without a configuration ----------------------------------------------------------------------------

    def _is_first_start(self) -> bool:
        """Neither a file nor the environment names a bus, and what there is has not been looked at yet.

        A file that was there before is gone only while an editor replaces it.
        """
        has_looked = self._looking is not None and self._looking.done()
        return not has_looked and not self._has_had_file and not environment_names_buses()

    async def _look_around(self) -> None:
        if self._looking is not None:
            return
        log.warning("there is no configuration at %s: looking what is around this machine", self._file)
        self._setup = self._setup.model_copy(update={"is_first_start": True, "is_looking": True})
        await self._open_page()
        self._look = FirstLook(self._adapters, self._look_in, on_change=self._found)
        self._looking = asyncio.create_task(self._look_and_propose(self._look))

    def _found(self) -> None:
        seen = () if self._look is None else tuple(
            SetupBus(
                entry=bus.entry,
                bus=bus.bus,
                problem=bus.problem,
                devices=tuple(
                    SetupDevice(name=one.name, address=one.address, profile=one.profile, family=one.family)
                    for one in bus.devices.values()
                ),
            )
            for bus in self._look.seen
        )  # fmt: skip
        self._setup = self._setup.model_copy(update={"seen": seen})

    async def _look_and_propose(self, look: FirstLook) -> None:
        await look.run()
        news: dict[str, object] = {"is_looking": False}
        if not file_exists(self._file):  # else somebody was quicker, and needs no proposal
            text = proposal(look.tables, look.seen, store=_store_beside(self._file))
            news |= {"proposal": text, "proposal_file": self._written(text)}
        self._setup = self._setup.model_copy(update=news)

    def _written(self, text: str) -> str | None:
        """Write the file, if there is none; return its name, or `None` when it could not be written as a whole."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            _write_new(self._file, text)
        except OSError as error:
            log.warning("no configuration could be proposed in %s: %s; the page shows one", self._file, error.strerror)
            return None
        log.warning("a configuration to begin with is in %s: put the keys of the Partner Portal in", self._file)
        return str(self._file)


def _store_beside(file: Path) -> str | None:
    """Return a store beside the configuration where the usual one cannot be written; `None` where it can."""
    usual = salvage(None).store.path.absolute()
    around = next(folder for folder in usual.parents if file_exists(folder))
    return None if os.access(around, os.W_OK) else str(file.absolute().with_name("gateway.sqlite3"))


def _write_new(file: Path, text: str) -> None:
    """Make a file that only its owner may read, as keys will stand in it: the whole text, or on a full disk no file at all."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as out:
        try:
            out.write(text)
            out.flush()
        except OSError:
            file.unlink()
            raise


async def _ended(task: asyncio.Task[None] | None) -> None:
    """End a task; one that hangs, as an adapter that cannot close its bus, keeps nobody from starting."""
    if task is None:
        return
    task.cancel()
    ended, _ = await asyncio.wait({task}, timeout=END_SECONDS)
    if not ended:
        log.warning("a part of the setup did not end within %.0f s, and is left alone", END_SECONDS)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part of the setup had failed", exc_info=error)


def _mistakes(failure: GatewayError, file: Path) -> tuple[SetupProblem, ...]:
    if not isinstance(failure, SettingsError):
        where = "store.path" if isinstance(failure, StoreError) else "gateway"
        return (SetupProblem(place=str(file), where=where, wrong=str(failure), right="Mend that; it is tried again by itself"),)
    return tuple(
        SetupProblem(
            place=problem_location(SettingsError(file, failure.problems), problem),
            where=problem.where,
            wrong=problem.wrong,
            right=problem.right,
        )
        for problem in failure.problems
    )


def _digest(store: Path) -> str:
    """Return the hash of the token; of one for this run alone, where none can be kept."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        digest, made = load_or_create_token(token_file(store))
    except (OSError, StoreError) as error:
        log.warning("the token of the status page cannot be kept: %s", error)
        log_new_token(made := new_token(), None)
        return digest_of(made)
    if made is not None:
        log_new_token(made, token_file(store))
    return digest
