"""Wait for a usable configuration: read it again and again, and serve a page that shows what to fix."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.file import file_exists, file_stamp
from gateway.config.loading import environment_names_buses
from gateway.config.salvage import StandInStatus, salvage
from gateway.config.settings import Configuration, GatewaySection, StatusSection
from gateway.config.writing import write_file
from gateway.doctor.checks import examine
from gateway.doctor.known_config import read_known_config
from gateway.errors import GatewayError, SettingsError, SettingsProblem, StoreError
from gateway.first_start.config_proposal import is_untouched_proposal, marked, propose_config
from gateway.first_start.file_correction import MOST_BYTES, shown_problem
from gateway.first_start.search import SetupSearches
from gateway.first_start.set_up import SetUp
from gateway.models import Finding
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.token_command import sign_in_help
from gateway.status.auth.token_file import load_or_create_token, token_file
from gateway.status.listening.endpoint import endpoint_of
from gateway.status.setup_server import SetupServer
from gateway.status.setup_view import SetupProblem, SetupState
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

READ_EVERY_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 10.0
"""Wait before another attempt after a problem outside of the file, such as the store's folder."""

STOP_SECONDS: Final = 5.0

NO_BUS: Final = SettingsProblem(
    "file", "there is none here, and the environment names no bus", "Save the configuration here, or set XYTE_GATEWAY__ADAPTER"
)
"""A hardware key alone would start a gateway without buses, and hide the proposed configuration."""


class ConfigurationWait:
    """Waits for a usable configuration. From the first problem until the gateway starts, it serves the setup page."""

    def __init__(
        self,
        file: Path,
        read: Callable[[], Configuration],
        adapters: Mapping[str, type[Adapter[Any]]],
        *,
        look_in: Sequence[str] = (),
        read_every_seconds: float = READ_EVERY_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Wait for this file.

        Args:
            file: the configuration file, which need not exist.
            read: reads it; raises `SettingsError` when it is wrong.
            adapters: the adapters that search for devices when there is no configuration.
            look_in: hosts and networks that they may search.
            read_every_seconds: how often the file is read again while it is wrong.
            retry_seconds: how often a start that failed with a valid configuration is tried again.
        """
        self._file = file.absolute()  # the page is read by people with another working directory
        self._read = read
        self._adapters = adapters
        self._read_every_seconds = read_every_seconds
        self._retry_seconds = retry_seconds
        self._state = SetupState(file=str(self._file), is_first_start=False)
        self._mistakes: Sequence[SettingsProblem] = ()
        self._page: asyncio.Task[None] | None = None
        self._served: tuple[StatusSection, Path] | None = None
        self._has_had_file = False
        self._is_saved = asyncio.Event()
        self._proposing: asyncio.Task[None] | None = None
        self._searches = SetupSearches(adapters, look_in)
        self._set_up = SetUp(
            self._file,
            adapters,
            self._searches,
            store=lambda: _store_beside(self._file),
            mistakes=lambda: self._mistakes,
            on_saved=self._is_saved.set,
        )

    def setup(self) -> SetupState:
        """Return the state that the setup page shows."""
        if not self._searches.has_begun:
            return self._state
        return self._state.model_copy(
            update={
                "is_set_up_here": _is_replaceable(self._file),
                "is_looking": self._searches.is_looking,
                "search": self._searches.summary(),
                "seen": self._searches.shown(),
                "network": self._searches.network_hosts(),
                "network_problems": self._searches.network_problems(),
            }
        )

    @property
    def actions(self) -> SetUp:
        """What a person can do on the page."""
        return self._set_up

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine."""
        file = self._file if file_exists(self._file) else None
        known = await asyncio.to_thread(read_known_config, file, self._adapters)
        return [finding async for finding in examine(known, self._adapters)]

    @property
    def headline(self) -> str:
        """The state in one sentence."""
        return self.setup().headline

    async def wait(self, failure: GatewayError | None = None) -> Configuration:
        """Return a usable configuration, as soon as there is one.

        Args:
            failure: why the gateway could not start with the last one, although the file is valid.
        """
        if failure is not None:
            await self._wait_for_change(failure)
        while True:
            self._has_had_file |= file_exists(self._file) and not await asyncio.to_thread(_is_replaceable, self._file)
            if self._is_first_start():
                await self._start_search()
            else:
                try:
                    configuration = await asyncio.to_thread(self._read)
                except SettingsError as error:
                    await self._report(error)
                else:
                    if configuration.file is not None or environment_names_buses():
                        return configuration
                    await self._report(SettingsError(self._file, [NO_BUS]))
            await self._wait_to_read_again()

    async def _wait_to_read_again(self) -> None:
        """Wait until the file is read again: at once when it was saved on the page."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._read_every_seconds):
                await self._is_saved.wait()
        self._is_saved.clear()

    async def _wait_for_change(self, failure: GatewayError) -> None:
        """Report the failure until the file changes, or until it is time to try again."""
        await self._report(failure)
        before, until = file_stamp(self._file), loop_time() + self._retry_seconds
        while loop_time() < until and file_stamp(self._file) == before:
            await self._wait_to_read_again()

    async def close(self) -> None:
        """Stop the search and the page, so that the gateway can serve its own page."""
        await self._searches.close()
        await _stop(self._proposing)
        await _stop(self._page)
        self._page = self._proposing = self._served = None

    async def _report(self, failure: GatewayError) -> None:
        """Show what is wrong on the page, and log it if it has changed."""
        self._mistakes = failure.problems if isinstance(failure, SettingsError) else ()
        problems = _problems(failure, self._file)
        if problems != self._state.mistakes:
            for one in problems:
                log.error("%s: %s: %s. %s", one.place, one.where, one.wrong, one.right)
            log.warning("the gateway starts by itself once this is fixed; until then it waits")
        self._state = self._state.model_copy(update={"mistakes": problems})
        await self._open_page()

    async def _open_page(self) -> None:
        """Serve the page at its configured address, as far as the configuration can be read."""
        salvaged = salvage(self._file)
        store = salvaged.store.path
        if self._searches.has_begun and store == salvage(None).store.path:
            store = _store_beside(self._file) or store
        wanted = salvaged.status, store  # the hash of the token is beside the store
        if self._served == wanted:
            return
        await _stop(self._page)
        self._served = wanted
        if salvaged.status.enabled:
            if isinstance(salvaged.status, StandInStatus):
                log.warning("the certificate of the status page cannot be read from the configuration; one is made until it can")
            status, tokens = salvaged.status, load_or_create_token(token_file(store))
            auth = TokenAuth(tokens.tokens, host=status.host, on_use=tokens.note_use)
            name = GatewaySection().name
            server = SetupServer(self, auth, endpoint_of(status, store), sign_in_help(name, self._file))
            self._page = asyncio.create_task(server.run())

    # without a configuration -----------------------------------------------------------------------------------------

    def _is_first_start(self) -> bool:
        """Whether there is no file, or only a proposed one, no bus in the environment, and no finished search.

        A file that existed before is missing only while an editor replaces it.
        """
        return not self._searches.has_ended.is_set() and not self._has_had_file and not environment_names_buses()

    async def _start_search(self) -> None:
        if self._searches.has_begun:
            return
        log.warning("there is no configuration at %s; searching for devices", self._file)
        self._state = self._state.model_copy(update={"is_first_start": True})
        self._searches.begin()
        await self._open_page()
        self._proposing = asyncio.create_task(self._propose())

    async def _propose(self) -> None:
        await self._searches.has_ended.wait()
        text = propose_config(self._searches.tables, self._searches.buses, store=_text_or_none(_store_beside(self._file)))
        if await asyncio.to_thread(_is_replaceable, self._file):  # otherwise a person was faster, and needs no proposal
            written = await asyncio.to_thread(self._write_proposal, marked(text))
            self._state = self._state.model_copy(update={"proposal": text, "proposal_file": written})

    def _write_proposal(self, text: str) -> str | None:
        """Write the file if there is none; return its path, or `None` when it could not be written completely."""
        try:
            if file_exists(self._file):
                write_file(self._file, text)
            else:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                _write_new(self._file, text)
        except OSError as error:
            log.warning("the proposed configuration cannot be written to %s: %s; the page shows it", self._file, error.strerror)
            return None
        log.warning(
            "a proposed configuration is in %s; the page completes it, or insert the keys from the Partner Portal", self._file
        )
        return str(self._file)


def _is_replaceable(file: Path) -> bool:
    """Whether the page may write the file: there is none, or a proposal that nobody has changed."""
    if not file_exists(file):
        return True
    try:
        return file.stat().st_size <= MOST_BYTES and is_untouched_proposal(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _text_or_none(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _store_beside(file: Path) -> Path | None:
    """Return a store beside the configuration if the default one cannot be written; `None` if it can."""
    default = salvage(None).store.path.absolute()
    existing = next(folder for folder in default.parents if file_exists(folder))
    return None if os.access(existing, os.W_OK) else file.absolute().with_name("gateway.sqlite3")


def _write_new(file: Path, text: str) -> None:
    """Create a file that only its owner may read, since it will contain keys; if the disk is full, leave no partial file."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as out:
        try:
            out.write(text)
            out.flush()
        except OSError:
            file.unlink()
            raise


async def _stop(task: asyncio.Task[None] | None) -> None:
    """Stop a task; one that hangs, such as an adapter that cannot close its bus, does not keep the gateway from starting."""
    if task is None:
        return
    task.cancel()
    stopped, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
    if not stopped:
        log.warning("a part of the setup did not stop within %.0f s; the gateway starts without waiting for it", STOP_SECONDS)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part of the setup failed", exc_info=error)


def _problems(failure: GatewayError, file: Path) -> tuple[SetupProblem, ...]:
    if not isinstance(failure, SettingsError):
        where = "store.path" if isinstance(failure, StoreError) else "gateway"
        return (
            SetupProblem(place=str(file), where=where, wrong=str(failure), right="Fix this; the gateway tries again by itself"),
        )
    return tuple(shown_problem(problem, file) for problem in failure.problems)
