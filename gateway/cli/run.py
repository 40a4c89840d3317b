"""`xyte-gateway run`: run the gateway until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated

import typer

from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, load_config
from gateway.cli.logs import start_logging
from gateway.config.mistakes import problem_location
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.errors import BeginAnew, GatewayError, SettingsError, StoreDamaged, StoreError
from gateway.field.plugins import AdapterClass, installed, usable
from gateway.first_start.configuration_wait import ConfigurationWait
from gateway.network_search.named_hosts import parse_networks
from gateway.process_limits import set_process_limits
from gateway.runtime.app import Gateway
from gateway.runtime.builder import build
from gateway.runtime.process import end_in_time, run_process, stop_on_signals
from gateway.runtime.restart import EXIT_RESTART, Restart, starter_of_process
from gateway.service_manager import Notifier
from gateway.tasks import run_until

log = logging.getLogger(__name__)


def run(
    config: ConfigFile = DEFAULT_FILE,
    *,
    wait: Annotated[
        bool,
        typer.Option(help="Wait for a valid configuration, with a page that shows what to fix; or exit with code 2."),
    ] = True,
    look_in: Annotated[
        list[str] | None,
        typer.Option(
            "--look-in",
            metavar="NETWORK",
            envvar="XYTE_GATEWAY_LOOK_IN",
            help="Without a configuration, also search these hosts: networks such as 192.168.1.0/24, or hosts; repeatable.",
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every detail.")] = False,
) -> None:
    """Run the gateway until SIGTERM or SIGINT; it then stops within 8 s. The log goes to stderr, with --json as JSON lines.

    Without a configuration, the gateway searches for devices, shows them on its page, and writes a configuration to start with.
    With a wrong one, it shows each mistake. As soon as the configuration is valid, it starts by itself.
    """

    def read() -> Configuration:
        configuration, _ = load_config(config, may_be_missing=True)
        start_logging(configuration.settings.log, as_json=as_json, verbose=verbose)
        return configuration

    set_process_limits()
    start_logging(salvage(config).log, as_json=as_json, verbose=verbose)
    with _errors_logged() if as_json else errors_shown(as_json=False):
        adapters = usable(installed())
        if not wait:
            run_process(_run_once(read(), read, adapters), exit_code=_exit_code)
            return
        try:
            parse_networks(look_in or ())
        except ValueError as error:
            raise CommandFailed(f"--look-in: {error}", EXIT_WRONG) from error
        run_process(_run(ConfigurationWait(config, read, adapters, look_in=look_in or ()), adapters), exit_code=_exit_code)


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Exit with one log line for each problem, for programs that read the log."""
    try:
        yield
    except SettingsError as error:
        for problem in error.problems:
            log.error("%s: %s: %s. %s", problem_location(error, problem), problem.where, problem.wrong, problem.right)  # noqa: TRY400 - not a bug of ours
        raise typer.Exit(EXIT_WRONG) from error
    except (GatewayError, CommandFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - as above
        raise typer.Exit(error.code if isinstance(error, CommandFailed) else EXIT_FAILED) from error


async def _run_once(configuration: Configuration, read: Callable[[], Configuration], adapters: dict[str, AdapterClass]) -> None:
    _log_warnings(configuration)
    stop, restart = stop_on_signals(), Restart(starter_of_process())
    gateway: Gateway | None = None
    async with _restarts_in_time(restart):
        while True:
            try:
                async with build(configuration, adapters, restart=restart) as gateway:
                    await gateway.run(stop)
                break
            except (StoreDamaged, BeginAnew) as error:
                if gateway is None:
                    raise
                gateway = None
                log.warning("the gateway begins anew: %s", error)
                configuration = await asyncio.to_thread(read)
    _ask_for_restart(restart)


async def _run(waiting: ConfigurationWait, adapters: dict[str, AdapterClass]) -> None:
    """Run with the first configuration that the gateway can be built with; wait for one as long as necessary."""
    stop, running, restart = stop_on_signals(), _Running(waiting), Restart(starter_of_process())
    async with _restarts_in_time(restart), Notifier.from_environment(os.environ).serving(running.headline, stop):
        failure: GatewayError | None = None
        while not stop.is_set():
            configuration = await run_until(stop, waiting.wait(failure))
            if configuration is None:
                break
            _log_warnings(configuration)
            try:
                async with build(configuration, adapters, restart=restart) as gateway:
                    await waiting.close()
                    running.gateway = gateway
                    await gateway.run(stop)
            except (SettingsError, StoreError, BeginAnew) as error:
                has_run, running.gateway = running.gateway is not None, None
                failure = error
                if has_run and isinstance(error, StoreDamaged | BeginAnew):
                    log.warning("the gateway begins anew: %s", error)
                    failure = None
        await waiting.close()
    _ask_for_restart(restart)


def _log_warnings(configuration: Configuration) -> None:
    for one in configuration.warnings:
        place = problem_location(SettingsError(configuration.file, []), one)
        log.warning("%s: %s: %s. %s", place, one.where, one.wrong, one.right)


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code of the process where something keeps it from ending by itself."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    return 0 if error is None else EXIT_FAILED


def _ask_for_restart(restart: Restart) -> None:
    """End the process, where a restart was requested, so that it is started again."""
    if restart.requested.is_set():
        raise typer.Exit(EXIT_RESTART)


class _Running:
    """What runs right now: the gateway, or before it the wait for its configuration."""

    def __init__(self, waiting: ConfigurationWait) -> None:
        self._waiting = waiting
        self.gateway: Gateway | None = None

    async def headline(self) -> str:
        """Return the state in one sentence."""
        return self._waiting.headline if self.gateway is None else await self.gateway.headline()


@asynccontextmanager
async def _restarts_in_time(restart: Restart) -> AsyncIterator[None]:
    """End the process at once if the stop before a restart takes too long."""

    async def end_late() -> None:
        await restart.requested.wait()
        end_in_time()

    watching = asyncio.create_task(end_late())
    try:
        yield
    finally:
        watching.cancel()
