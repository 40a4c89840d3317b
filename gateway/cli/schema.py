"""`xyte-gateway schema`: print what has to be entered in the Partner Portal, as data for a program or as a list for a person."""

from __future__ import annotations

import typer

from gateway.cli.command_schemas import show_commands
from gateway.cli.config_schemas import show_configuration
from gateway.cli.metric_list import show_metrics

schema = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@schema.callback()
def _describe() -> None:
    """Print the commands that devices take, what can be configured, and the metrics, as the Partner Portal needs them."""


schema.command(name="commands")(show_commands)
schema.command(name="config")(show_configuration)
schema.command(name="metrics")(show_metrics)
