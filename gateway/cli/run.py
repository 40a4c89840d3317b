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

from gateway.app import build
from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, ConfigFile, errors_shown, load_config, place_of
from gateway.cli.logs import start_logging
from gateway.errors import GatewayError, SettingsError
from gateway.field.plugins import AdapterClass, usable
from gateway.settings import DEFAULT_FILE, Configuration

log = logging.getLogger(__name__)

STOP_SECONDS = 7.5
"""A part that hangs is cut off then: Docker would kill everything at 10 s, and an operator waits for no more than 8."""


def run(
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every detail.")] = False,
) -> None:
    """Run the gateway until SIGTERM or SIGINT; it drains and ends within 8 s. Logs go to stderr, with --json as JSON lines."""
    start_logging(as_json=as_json, verbose=verbose)
    with _errors_logged() if as_json else errors_shown(as_json=False):
        configuration, plugins = load_config(config)
        asyncio.run(_run(configuration, usable(plugins)))


@contextmanager
def _errors_logged() -> Iterator[None]:
    """End with lines in the log where a program reads it, one for each mistake."""
    try:
        yield
    except SettingsError as error:
        for problem in error.problems:
            log.error("%s: %s: %s. %s", place_of(error, problem), problem.where, problem.wrong, problem.right)  # noqa: TRY400 - no bug of ours
        raise typer.Exit(EXIT_WRONG) from error
    except GatewayError as error:
        log.error("%s", error)  # noqa: TRY400 - as above
        raise typer.Exit(EXIT_FAILED) from error


async def _run(configuration: Configuration, adapters: dict[str, AdapterClass]) -> None:
    async with build(configuration, adapters) as gateway:
        await gateway.run(stop_on_signals())


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
