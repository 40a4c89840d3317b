"""`xyte-gateway check`: is the configuration right, and if not, where and how to mend it."""

from __future__ import annotations

import dataclasses

import typer

from gateway.cli.common import EXIT_WRONG, AsJson, ConfigFile, load_config, out, print_json, show_problems
from gateway.errors import SettingsError
from gateway.settings import DEFAULT_FILE


def check(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Check the configuration: every error with its line, what is wrong and what would be right. Exit code 2 if there is one."""
    try:
        configuration, _ = load_config(config)
    except SettingsError as error:
        if as_json:
            print_json(
                {"file": str(error.file or config), "problems": [dataclasses.asdict(problem) for problem in error.problems]}
            )
        else:
            show_problems(error)
            out.print(f"\n{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}")
        raise typer.Exit(EXIT_WRONG) from error
    settings = configuration.settings
    if as_json:
        print_json({"file": str(configuration.file) if configuration.file else None, "problems": []})
        return
    out.print(f"[green]{configuration.file or 'The environment alone'} is fine.[/]")
    out.print(f"cloud      {settings.cloud.entry_url}, telemetry every {settings.cloud.telemetry_every.total_seconds():g} s")
    out.print(f"store      {settings.store.path}")
    out.print(f"admission  {settings.admission.policy}; models for {', '.join(settings.models) or 'no family yet'}")
    for entry in configuration.entries:
        out.print(f"adapter    {entry.name} ({entry.type})")
    if not configuration.entries:
        out.print("[yellow]There is no [[adapter]] yet, so nothing will be found.[/]", markup=True)
