"""`xyte-gateway check`: show each mistake of the configuration with its fix, and the planned load of its buses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.common import (
    EXIT_FAILED,
    EXIT_WRONG,
    AsJson,
    CommandFailed,
    ConfigFile,
    err,
    load_config,
    out,
    print_json,
    problem_facts,
    problem_list,
    show_problems,
    show_warnings,
)
from gateway.cli.plans import plan_facts, planned_buses, refuse_overloads, show_plans
from gateway.config.settings import DEFAULT_FILE, CloudSection, Configuration
from gateway.errors import GatewayError, SettingsError
from gateway.plain_numbers import seconds_text

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="List each device and poll group with its load.")]


def check(config: ConfigFile = DEFAULT_FILE, *, verbose: Verbose = False, as_json: AsJson = False) -> None:
    """Check the configuration, and show each mistake with its line and its fix; without mistakes, show the settings in use.

    Also shows the planned load of each bus, for the devices that are configured or were found before; with --verbose, that of
    each device. Opens no bus and sends
    nothing. Exit code 2 if there is a mistake, or a plan that exceeds the limit of its bus where `overload` is "refuse".
    """
    try:
        configuration, _ = load_config(config)
        buses = asyncio.run(planned_buses(configuration))
        refuse_overloads(configuration.file, buses)
    except SettingsError as error:
        if as_json:
            print_json({"file": str(error.file or config), "problems": problem_facts(error)})
        else:
            show_problems(error)
            err.print(f"\n{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}")
        raise typer.Exit(EXIT_WRONG) from error
    except (GatewayError, CommandFailed) as error:
        if as_json:
            print_json({"error": str(error)})
        else:
            err.print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(EXIT_FAILED) from error
    if as_json:
        file = str(configuration.file) if configuration.file else None
        print_json(
            {
                "file": file,
                "problems": [],
                "warnings": problem_list(configuration.warnings),
                **_settings_facts(configuration),
                "buses": [plan_facts(bus) for bus in buses],
            }
        )
    else:
        _show(configuration)
        show_plans(buses, is_whole=verbose)
        show_warnings(configuration)


def _settings_facts(configuration: Configuration) -> dict[str, object]:
    settings = configuration.settings
    return {
        "entry_url": settings.cloud.entry_url,
        "hub": settings.cloud.hub,
        "telemetry_every_seconds": settings.cloud.telemetry_every.total_seconds(),
        "store": str(settings.store.path),
        "store_state": _store_state(settings.store.path),
        "admission": settings.admission.policy,
        "models": settings.models,
        "adapters": [{"name": entry.name, "type": entry.type} for entry in configuration.entries],
    }


def _show(configuration: Configuration) -> None:
    settings = configuration.settings
    out.print(f"[green]{escape(str(configuration.file or 'The environment alone'))} is fine.[/]", soft_wrap=True)
    rows = [
        ("entry", f"{settings.cloud.entry_url}, where the gateway registers"),
        ("hub", _hub(settings.cloud)),
        ("telemetry", f"every {seconds_text(settings.cloud.telemetry_every.total_seconds())}"),
        ("store", f"{settings.store.path}, {_store_state(settings.store.path)}"),
        ("admission", f"{settings.admission.policy}; models for {', '.join(settings.models) or 'no family yet'}"),
        *(("adapter", f"{entry.name} ({entry.type})") for entry in configuration.entries),
    ]
    for name, used in rows:
        out.print(f"{name:10} {used}", markup=False, soft_wrap=True)
    if not configuration.entries:
        out.print("[yellow]There is no \\[\\[adapter]] yet, so no device will be found.[/]")


def _hub(cloud: CloudSection) -> str:
    return f"the {cloud.hub} of the registration" + (f", only at {', '.join(cloud.hub_hosts)}" if cloud.hub_hosts else "")


def _store_state(path: Path) -> str:
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        return f"which this user may not write to ({existing})"
    return "exists" if path.exists() else "will be created at the first start"
