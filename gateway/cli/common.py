"""What every command shares: the config option, the way errors are shown, tables and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from gateway.errors import GatewayError, SettingsError
from gateway.field.plugins import Plugin, installed, usable
from gateway.settings import DEFAULT_FILE, Configuration, load

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", dir_okay=False, envvar="XYTE_GATEWAY_CONFIG", help="The configuration file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]

EXIT_FAILED = 1
EXIT_WRONG = 2

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(what: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print one JSON document."""
    sys.stdout.write(json.dumps(what, indent=2, default=str) + "\n")


def fail(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say why it did not work and end."""
    err.print(f"[bold red]error:[/] {escape(text)}")
    raise typer.Exit(code)


@contextmanager
def errors_shown() -> Iterator[None]:
    """End with a sentence instead of a traceback when the gateway itself says what is wrong."""
    try:
        yield
    except SettingsError as error:
        show_problems(error)
        raise typer.Exit(EXIT_WRONG) from error
    except GatewayError as error:
        fail(str(error))


def show_problems(error: SettingsError) -> None:
    """Show every problem of a configuration: where, what is wrong, what would be right."""
    for problem in error.problems:
        place = f"{error.file or 'environment'}" + (f":{problem.line}" if problem.line else "")
        err.print(f"[bold]{escape(place)}[/]: [red]{escape(problem.where)}[/] {escape(problem.wrong)}")
        err.print(f"    [green]{escape(problem.right)}[/]")


def load_config(file: Path, *, for_cloud: bool = True) -> tuple[Configuration, dict[str, Plugin]]:
    """Load the file, or environment and defaults when the default file does not exist.

    Raises:
        SettingsError: with every problem found.
    """
    plugins = installed()
    broken: Mapping[str, str] = {name: plugin.problem for name, plugin in plugins.items() if plugin.problem is not None}
    path = None if file == DEFAULT_FILE and not file.exists() else file
    return load(path, usable(plugins), broken=broken, for_cloud=for_cloud), plugins
