"""`xyte-gateway run`: the gateway itself, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, load_config
from gateway.cli.logs import start_logging
from gateway.config.mistakes import problem_location
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.errors import GatewayError, SettingsError, StoreError
from gateway.field.plugins import AdapterClass, installed, usable
from gateway.first_start.configuration_wait import Desk
from gateway.first_start.first_look import hosts_of
from gateway.runtime.app import Gateway
from gateway.runtime.builder import build
from gateway.service_manager import Notifier
from gateway.tasks import run_until

log = logging.getLogger(__name__)

STOP_SECONDS = 7.5
"""A part that hangs is cut off then: Docker would kill everything at 10 s, and an operator waits for no more than 8."""


def run(
    config: ConfigFile = DEFAULT_FILE,
    *,
    wait: Annotated[
        bool,
        typer.Option(
            help="Wait for a configuration that can be used, with a page that says what to mend; or end with exit code 2."
        ),
    ] = True,
    look_in: Annotated[
        list[str] | None,
        typer.Option(
            "--look-in",
            metavar="NETWORK",
            envvar="XYTE_GATEWAY_LOOK_IN",
            help="Without a configuration, also look at these hosts: 192.168.1.0/24, or single ones; repeatable.",
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every detail.")] = False,
) -> None:
    """Run the gateway until SIGTERM or SIGINT; it drains and ends within 8 s. Logs go to stderr, with --json as JSON lines.

    Without a configuration it shows on its page, and logs, what it finds, and writes one to begin with; with a wrong one it shows
    each mistake. Once that is mended it starts by itself.
    """

    def read() -> Configuration:
        configuration, _ = load_config(config, may_be_missing=True)
        start_logging(configuration.settings.log, as_json=as_json, verbose=verbose)
        return configuration

    start_logging(salvage(config).log, as_json=as_json, verbose=verbose)
    with _errors_logged() if as_json else errors_shown(as_json=False):
        adapters = usable(installed())
        if not wait:
            asyncio.run(_run_once(read(), adapters))
            return
        try:
            hosts = hosts_of(look_in or ())
        except ValueError as error:
            raise CommandFailed(f"--look-in: {error}", EXIT_WRONG) from error
        asyncio.run(_run(Desk(config, read, adapters, look_in=hosts), adapters))


@contextmanager
def _errors_logged() -> Iterator[None]:
    """End with lines in the log where a program reads it, one for each mistake."""
    try:
        yield
    except SettingsError as error:
        for problem in error.problems:
            log.error("%s: %s: %s. %s", problem_location(error, problem), problem.where, problem.wrong, problem.right)  # noqa: TRY400 - no bug of ours
        raise typer.Exit(EXIT_WRONG) from error
    except (GatewayError, CommandFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - as above
        raise typer.Exit(error.code if isinstance(error, CommandFailed) else EXIT_FAILED) from error


async def _run_once(configuration: Configuration, adapters: dict[str, AdapterClass]) -> None:
    async with build(configuration, adapters) as gateway:
        await gateway.run(stop_on_signals())


async def _run(desk: Desk, adapters: dict[str, AdapterClass]) -> None:
    """Run with the first configuration with which the gateway can be built; wait for one as long as it takes."""
    stop, running = stop_on_signals(), _Running(desk)
    async with Notifier.from_environment(os.environ).serving(running.headline, stop):
        failure: GatewayError | None = None
        while not stop.is_set():
            configuration = await run_until(stop, desk.configuration(failure))
            if configuration is None:
                break
            try:
                async with build(configuration, adapters) as gateway:
                    await desk.close()
                    running.gateway = gateway
                    await gateway.run(stop)
            except (SettingsError, StoreError) as error:
                failure = error
        await desk.close()


class _Running:
    """What runs right now: the gateway, or before it the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.gateway: Gateway | None = None

    async def headline(self) -> str:
        """Return how it stands, in a sentence."""
        return self._desk.headline if self.gateway is None else await self.gateway.headline()


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second one, or a stop that takes too long, ends the process on the spot."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            _end_now("told to stop twice")
        stop.set()
        loop.call_later(STOP_SECONDS, _end_now, "a part did not end in time")

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, asked)
    return stop


def _end_now(why: str) -> None:
    log.error("ended without waiting any longer: %s; everything stored is safe", why)
    logging.shutdown()
    os._exit(1)
