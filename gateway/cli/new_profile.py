"""`xyte-gateway profile new`: write a new profile from a few facts and the maker's table of registers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.adapter import NotOffered, ProfileFacts, ProfileProblems, Workbench, slug, unknown_name
from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, err, errors_shown, out, print_json
from gateway.field.plugins import installed, usable

NOTATIONS = ("protocol", "one-based", "modicon")
TABLES = ("holding", "input", "coil", "discrete")


def new_profile(
    adapter: Annotated[str, typer.Argument(help="The adapter that the profile is for.")] = "modbus",
    maker: Annotated[str | None, typer.Option("--maker", help="Who builds the device.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="What a person calls the device: maker, model, kind.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="What kind of device: power-meter, inverter, ...")] = None,
    document: Annotated[str | None, typer.Option("--document", help="The maker's document that you use.")] = None,
    edition: Annotated[str, typer.Option("--edition", help="Its edition or date.")] = "unknown",
    points: Annotated[
        str | None, typer.Option("--points", metavar="FILE", help="The table of registers, a CSV file; - for the standard input.")
    ] = None,
    addresses: Annotated[
        str | None, typer.Option("--addresses", help=f"How the table counts: {', '.join(NOTATIONS)} (40001 is the first).")
    ] = None,
    table: Annotated[str, typer.Option("--table", help=f"Where its points are: {', '.join(TABLES)}.")] = "holding",
    name: Annotated[str | None, typer.Option("--name", help="The name of the file; left out, made from the title.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a new profile: asks for what is not given, and takes the points from the maker's table of registers.

    The first line of the table names its columns: address, name, and maybe type, unit, scale, table, length. Rows that are no
    points are told with their lines, and left out. Exit code 1 if a row was left out, 2 if nothing was written.
    """
    with errors_shown(as_json=as_json):
        check_choice("way of counting", addresses, NOTATIONS)
        check_choice("table", table, TABLES)
        workbench = _workbench(adapter)
        title = answered(title, "What a person calls the device (maker, model, kind)", "--title")
        facts = ProfileFacts(
            name=slug(name or title),
            maker=maker if maker is not None or not is_terminal() else typer.prompt("Maker", default="", err=True),
            title=title,
            family=slug(answered(family, "Family (power-meter, inverter, ...)", "--family")),
            document=answered(document, "The maker's document", "--document"),
            edition=edition,
            section="register table",
            points=_text(answered(points, "The CSV file with its table of registers", "--points")),
            addresses=addresses,
            table=table,
        )
        file = folder / f"{facts.name}.toml"
        if file.exists() and not force:
            raise CommandFailed(f"{file}: there is such a file; --force replaces it", EXIT_WRONG)
        try:
            made = workbench.new_profile(facts)
        except NotOffered as error:
            raise CommandFailed(str(error), EXIT_WRONG) from error
        except ProfileProblems as error:
            raise CommandFailed(str(error), EXIT_WRONG) from error
        if not made.points:
            told = "\n".join(("no row of the table is a point:", *made.refused))
            raise CommandFailed(told, EXIT_WRONG)
        try:
            file.write_text(made.text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{file}: cannot be written: {error.strerror}", EXIT_WRONG) from error
    next_command = f"xyte-gateway profile check {file} {adapter} ADDRESS --with 'hosts=[\"192.168.1.20\"]'"
    if as_json:
        print_json({"file": str(file), "points": made.points, "refused": list(made.refused), "next": next_command})
    else:
        out.print(f"{file}: {made.points} points", markup=False, soft_wrap=True)
        for refused in made.refused:
            err.print(f"left out: {refused}", markup=False)
        out.print(f"Try it on the device: {next_command}", markup=False, soft_wrap=True)
    if made.refused:
        raise typer.Exit(EXIT_FAILED)


def is_terminal() -> bool:
    """Whether there is a person who can be asked."""
    return sys.stdin.isatty()


def answered(given: str | None, question: str, option: str) -> str:
    """Return what is given, or what a person answers.

    Raises:
        CommandFailed: it is not given, and nobody can be asked.
    """
    if given is not None and given.strip():
        return given.strip()
    if not is_terminal():
        raise CommandFailed(f"{option} is missing, and there is no terminal to ask at", EXIT_WRONG)
    return str(typer.prompt(question, err=True)).strip()


def check_choice(kind: str, given: str | None, known: tuple[str, ...]) -> None:
    """Check an option with a few values.

    Raises:
        CommandFailed: it has another one.
    """
    if given is not None and given not in known:
        raise CommandFailed(unknown_name(kind, given, known), EXIT_WRONG)


def _workbench(adapter: str) -> Workbench:
    known = usable(installed())
    if adapter not in known:
        raise CommandFailed(unknown_name("adapter", adapter, known), EXIT_WRONG)
    try:
        return known[adapter].workbench()
    except NotOffered as error:
        raise CommandFailed(str(error), EXIT_WRONG) from error


MOST_BYTES = 4_000_000


def _text(file: str) -> str:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{file}: cannot be read: {error.strerror}", EXIT_WRONG) from error
    if len(content) > MOST_BYTES:
        raise CommandFailed(f"{file}: has more than {MOST_BYTES / 1e6:.0f} MB: that is no table of registers", EXIT_WRONG)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # what a spreadsheet on Windows writes
