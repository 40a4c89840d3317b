"""The command line."""

from __future__ import annotations

import sys

import typer

from gateway import __version__
from gateway.cli.adapters import adapters
from gateway.cli.check import check
from gateway.cli.children import children
from gateway.cli.demo import demo
from gateway.cli.emulator import emulator
from gateway.cli.read import read
from gateway.cli.run import run
from gateway.cli.scan import scan

app = typer.Typer(
    name="xyte-gateway",
    help="Speak to the Xyte cloud for the devices around this machine.\n\n"
    "Exit codes: 0 it worked; 1 it did not, and the text says why; 2 the command or the configuration is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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


for command in (run, check, scan, read, adapters, emulator, demo):
    app.command()(command)
app.add_typer(children, name="children")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
