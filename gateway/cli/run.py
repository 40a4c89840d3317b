"""`xyte-gateway run`: the gateway itself, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Annotated

import typer

from gateway.app import build
from gateway.cli.common import AsJson, ConfigFile, errors_shown, load_config
from gateway.cli.logs import start_logging
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
    with errors_shown():
        configuration, plugins = load_config(config)
        start_logging(as_json=as_json, verbose=verbose)
        asyncio.run(_run(configuration, usable(plugins)))


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
