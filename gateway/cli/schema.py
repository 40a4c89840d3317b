"""`xyte-gateway schema`: print what has to be entered in the Partner Portal, as data for a program or as a list for a person."""

from __future__ import annotations

import typer

from gateway.cli.command_schemas import show_commands
from gateway.cli.config_schemas import show_configuration

schema = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@schema.callback()
def _describe() -> None:
    """Print the commands that devices take, and what can be configured, as it has to be entered in the Partner Portal."""


schema.command(name="commands")(show_commands)
schema.command(name="config")(show_configuration)
