"""Define what all commands share: the config option, error output and JSON output."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.text import Text

from gateway import strict_json
from gateway.adapter import Found
from gateway.config.file import file_exists
from gateway.config.loading import environment_names_buses, load
from gateway.config.mistakes import is_in_environment, problem_location
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.errors import GatewayError, SettingsError, SettingsProblem
from gateway.field.plugins import Plugin, installed, usable
from gateway.plain_text import replace_unprintable

ConfigFile = Annotated[Path, typer.Option("--config", "-c", envvar="XYTE_GATEWAY_CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]

EXIT_FAILED = 1
EXIT_WRONG = 2

NO_FILE = SettingsProblem("file", "there is none here", "Create one from deploy/gateway.example.toml, or name one with --config")


PIPED_WIDTH = 10_000


class PlainConsole(Console):
    """A console on which texts of devices and servers do nothing to the terminal: only its own styles do.

    It prints no emoji: `:CD:` and `:AB:` in addresses and fingerprints are names of some to rich, and stay as they are here.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the options of rich, passed on
        super().__init__(emoji=False, **options)

    @property
    def width(self) -> int:
        """The width of the terminal; without one, as in a pipe, so wide that nothing is wrapped."""
        return super().width if self.is_terminal or "COLUMNS" in os.environ else PIPED_WIDTH

    @width.setter
    def width(self, width: int) -> None:
        self._width = width

    @property
    def options(self) -> ConsoleOptions:
        """The options of rich, with this width."""
        return super().options.update(width=self.width)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - the options of rich, passed on
        """Render a text without its control characters, but with its line breaks."""
        return super().render_str("\n".join(map(replace_unprintable, text.split("\n"))), **options)


out = PlainConsole(highlight=False)
err = PlainConsole(stderr=True, highlight=False, soft_wrap=True)


class CommandFailed(Exception):
    """A command failed; the text says why, to the person who typed it."""

    def __init__(self, why: str, code: int = EXIT_FAILED) -> None:
        super().__init__(why)
        self.code = code


def print_json(what: Any) -> None:  # noqa: ANN401 - anything that JSON can express
    """Print one JSON document."""
    sys.stdout.write(strict_json.dumps(what, indent=2, default=str) + "\n")


@contextmanager
def errors_shown(*, as_json: bool) -> Iterator[None]:
    """Exit with a sentence or a JSON document, instead of a traceback, for errors that the gateway raises on purpose."""
    try:
        yield
    except SettingsError as error:
        if as_json:
            print_json({"file": None if error.file is None else str(error.file), "problems": problem_facts(error)})
        else:
            show_problems(error)
        raise typer.Exit(EXIT_WRONG) from error
    except (GatewayError, CommandFailed) as error:
        if as_json:
            print_json({"error": str(error)})
        else:
            err.print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(error.code if isinstance(error, CommandFailed) else EXIT_FAILED) from error


def problem_facts(error: SettingsError) -> list[dict[str, object]]:
    """Return every problem of a configuration for a program."""
    return problem_list(error.problems)


def told_by_device(found: Found) -> dict[str, object]:
    """Return for a program what a device that was found says of itself, and what it is taken for."""
    names = ("name", "manufacturer", "model", "serial_number", "firmware_version", "profile", "family", "sub_model")
    return {name: getattr(found, name) for name in names}


def problem_list(problems: Iterable[SettingsProblem]) -> list[dict[str, object]]:
    """Return problems, or warnings, for a program."""
    return [dataclasses.asdict(problem) for problem in problems]


def show_problems(error: SettingsError) -> None:
    """Show every problem of a configuration: where it is, what is wrong, and how to fix it."""
    for problem in error.problems:
        err.print(
            f"[bold]{escape(problem_location(error, problem))}[/]: [red]{escape(problem.where)}[/]: {escape(problem.wrong)}"
        )
        err.print(f"    [green]{escape(problem.right)}[/]")


def show_warnings(configuration: Configuration) -> None:
    """Show what works in a configuration and is probably not meant."""
    for one in configuration.warnings:
        place = problem_location(SettingsError(configuration.file, []), one)
        err.print(f"[bold]{escape(place)}[/]: [yellow]{escape(one.where)}[/]: warning: {escape(one.wrong)}")
        err.print(f"    [green]{escape(one.right)}[/]")


def needs_no_file(file: Path) -> bool:
    """Whether the environment can replace this file: a container always names a file, but may set everything by variables."""
    return file == DEFAULT_FILE or environment_names_buses()


def load_config(file: Path, *, for_cloud: bool = True, may_be_missing: bool = False) -> tuple[Configuration, dict[str, Plugin]]:
    """Load the file, or only environment and defaults if it does not exist and is not needed (see `needs_no_file`).

    Args:
        file: the TOML file.
        for_cloud: also require the settings that only the connection to the cloud needs.
        may_be_missing: use environment and defaults if any file does not exist.

    Raises:
        SettingsError: with every problem found.
    """
    plugins = installed()
    broken: Mapping[str, str] = {name: plugin.problem for name, plugin in plugins.items() if plugin.problem is not None}
    path = None if not file_exists(file) and (may_be_missing or needs_no_file(file)) else file
    try:
        return load(path, usable(plugins), broken=broken, for_cloud=for_cloud), plugins
    except SettingsError as error:
        nothing = path is None and not is_in_environment()
        raise SettingsError(file, [NO_FILE, *error.problems] if nothing else error.problems) from error
