"""The command line: each command by its name and what it is for; its module is imported when it is the one that is asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from gateway import __version__

COMMANDS = {
    "run": "Run the gateway until SIGTERM or Ctrl-C.",
    "check": "Check the configuration: each mistake with its line.",
    "doctor": "Find what keeps the gateway from working, and mend it.",
    "scan": "Look who answers on the buses; read-only.",
    "read": "Identify one device and read it once; read-only.",
    "find-register": "Find where the value on a display stands; read-only.",
    "profile": "List the device profiles; check one, alone or on a device.",
    "children": "List the devices; admit, ignore or rename one.",
    "health": "Ask whether the gateway on this machine can do its job.",
    "adapters": "List the installed adapters and their settings.",
    "emulator": "Be a small Xyte on this machine.",
    "demo": "Watch the main job being done, all on this machine.",
}
"""Each is the function, or the group, of that name in the module of that name, with underscores for hyphens."""


class _Commands(TyperGroup):
    """Lists the commands without importing them, which would cost every start more than a second."""

    def __init__(self, **rest: Any) -> None:  # noqa: ANN401 - whatever typer hands over
        super().__init__(**rest)
        for name, purpose in COMMANDS.items():
            self.add_command(TyperCommand(name, help=purpose))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer keeps its own copy of click private
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _imported(name), rest


def _imported(name: str) -> Any:  # noqa: ANN401 - as above
    module = name.replace("-", "_")
    meant = getattr(import_module(f"gateway.cli.{module}"), module)
    if isinstance(meant, typer.Typer):
        return get_command(meant)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command()(meant)
    return get_command(alone)


app = typer.Typer(
    name="xyte-gateway",
    cls=_Commands,
    help="Speak to the Xyte cloud for the devices around this machine.\n\n"
    "Exit codes: 0 it worked; 1 it did not, and the text says why; 2 the command or the configuration is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer hands options over like this
    if wanted:
        typer.echo(f"xyte-gateway {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version and exit."),  # noqa: FBT001, FBT003 - as above
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
