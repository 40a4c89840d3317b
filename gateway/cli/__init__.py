"""The command line: a list of the commands, each of which is imported only when it is used."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from gateway import __version__
from gateway.cli.type_names import name_types_for_people

name_types_for_people()

COMMANDS = {
    "run": "Run the gateway until SIGTERM or Ctrl-C.",
    "check": "Check the configuration; show each mistake with its line.",
    "doctor": "Show what keeps the gateway from working, and the fix.",
    "scan": "Search the buses for devices; read-only.",
    "search": "Search networks for hosts that could be added; read-only.",
    "read": "Identify one device and read it once; read-only.",
    "command": "Have one device carry out one command.",
    "find-register": "Find the register behind a value on a display; read-only.",
    "profile": "List the device profiles, or check one.",
    "schema": "Print what has to be entered in the Partner Portal.",
    "children": "List the devices; admit, ignore or rename one.",
    "events": "Show what happened: devices, buses, commands, starts and stops.",
    "losses": "Show what became of the samples of each device.",
    "identity": "Show who this gateway is; decide after its store was moved.",
    "backup": "Write the store into one file, also while the gateway runs.",
    "restore": "Put a backup in the place of the store.",
    "dump": "Write what helps to find a fault into one archive.",
    "health": "Ask the gateway on this machine whether it is ready.",
    "token": "Make, list or withdraw tokens for the status page.",
    "adapters": "List the installed adapters and their settings.",
    "emulator": "Run an emulated Xyte cloud on this machine.",
    "demo": "Run a gateway with simulated devices and an emulated cloud.",
}
"""Each is a function or group with its name in the module of that name, with underscores for hyphens."""


class _LazyCommands(TyperGroup):
    """Lists the commands without importing them, which would add more than a second to every start."""

    def __init__(self, **rest: Any) -> None:  # noqa: ANN401 - whatever typer passes
        super().__init__(**rest)
        for name, purpose in COMMANDS.items():
            self.add_command(TyperCommand(name, help=purpose))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer keeps its own copy of click private
        if args[:1] == ["help"]:  # `help read` is what `read --help` is
            args = [*args[1:], "--help"]
            if len(args) == 1:
                typer.echo(ctx.get_help())
                raise typer.Exit
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _import_command(name), rest


def _import_command(name: str) -> Any:  # noqa: ANN401 - as above
    module = name.replace("-", "_")
    command = getattr(import_module(f"gateway.cli.{module}"), module)
    if isinstance(command, typer.Typer):
        return get_command(command)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command()(command)
    return get_command(single)


app = typer.Typer(
    name="xyte-gateway",
    cls=_LazyCommands,
    help="Connect the devices around this machine to the Xyte cloud.\n\n"
    "Exit codes: 0 success; 1 failure, with the reason as text; 2 the command or the configuration is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer passes options like this
    if wanted:
        typer.echo(f"xyte-gateway {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Show the version and exit."),  # noqa: FBT001, FBT003 - as above
) -> None:
    """Read the options before the command."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(_end_without_output(error))


def _end_without_output(error: OSError) -> int:
    """Return the exit code after the output could not be written; other errors of the system are raised.

    Who reads a pipe and ends, as `head` does, has what it wants. A full disk is a failure.
    """
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer cannot be written either
    if error.errno == errno.EPIPE:
        return 0
    sys.stderr.write("error: the output cannot be written: the disk is full\n")
    return 1
