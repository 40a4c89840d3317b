"""`xyte-gateway schema`: print what the Partner Portal and authors of profiles need, as data for a program or as a list."""

from __future__ import annotations

import typer

from gateway.cli.command_schemas import show_commands
from gateway.cli.config_schemas import show_configuration
from gateway.cli.metric_list import show_metrics
from gateway.cli.profile_schemas import show_profile_grammar

schema = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@schema.callback()
def _describe() -> None:
    """Print the commands that devices take, what can be configured, the metrics, and the grammar of profiles."""


schema.command(name="commands")(show_commands)
schema.command(name="config")(show_configuration)
schema.command(name="metrics")(show_metrics)
schema.command(name="profile")(show_profile_grammar)
