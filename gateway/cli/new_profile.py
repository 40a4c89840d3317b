"""`xyte-gateway profile new`: write a new profile from an interview, and the maker's table of points or the draft of a scan."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gateway.adapter import NewProfile, NotOffered, ProfileFacts, ProfileProblems, Workbench, slug, unknown_name
from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, err, errors_shown, out, print_json
from gateway.cli.new_profile_files import NewFiles
from gateway.cli.profile_interview import answered, check_choice, chosen, is_terminal, pasted
from gateway.field.plugins import installed, usable

NOTATIONS = ("protocol", "one-based", "modicon")
BUSES = {"modbus": " --with 'hosts=[\"192.168.1.20\"]'", "serial": " --with 'ports=[\"/dev/ttyUSB0\"]'"}
"""How the bus of a device is named, by adapter; the others find theirs."""

TABLES = ("holding", "input", "coil", "discrete")


def new_profile(
    adapter: Annotated[str, typer.Argument(help="The adapter that the profile is for.")] = "modbus",
    maker: Annotated[str | None, typer.Option("--maker", help="Who builds the device.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="What a person calls the device: maker, model, kind.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="What kind of device: power-meter, inverter, ...")] = None,
    document: Annotated[str | None, typer.Option("--document", help="The maker's document that you use.")] = None,
    edition: Annotated[str | None, typer.Option("--edition", help="Its edition or date; left out, unknown.")] = None,
    points: Annotated[
        str | None,
        typer.Option(
            "--points",
            metavar="FILE",
            help="The table of points, a CSV file; - for the standard input. Left out at a terminal, paste it.",
        ),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="DRAFT", help="A draft of `scan --drafts`, instead of a table.")
    ] = None,
    addresses: Annotated[
        str | None, typer.Option("--addresses", help=f"How the table counts: {', '.join(NOTATIONS)} (40001 is the first).")
    ] = None,
    table: Annotated[str, typer.Option("--table", help=f"Where its points are: {', '.join(TABLES)}.")] = "holding",
    line: Annotated[
        str | None, typer.Option("--line", help='How the line of a serial device is set, such as "9600 8N1".')
    ] = None,
    end: Annotated[str | None, typer.Option("--end", help=r'What ends the messages of a serial device, such as "\r".')] = None,
    name: Annotated[str | None, typer.Option("--name", help="The name of the file; left out, made from the title.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
    *,
    no_case: Annotated[bool, typer.Option("--no-case", help="Write no case folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file or a case folder of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a new profile and its first case folder: asks for what is not given, and takes the points from the maker's table.

    The first line of the table names its columns. Modbus: address, name, and maybe type, unit, scale, table, length. Serial: ask,
    answer, name, and maybe field, unit, scale, values. Bluetooth (ble): service, characteristic, name, and maybe format, at,
    length, scale, unit, notify. Rows that are no points are told with their lines, and left out. The case folder,
    cases/NAME/first, has made values with which `xyte-gateway profile test` passes; replace them by those of a device. Beside the
    profile stands its grammar for editors, as JSON Schema.
    Exit code 1 if a row was left out, 2 if nothing was written.
    """
    with errors_shown(as_json=as_json):
        check_choice("way of counting", addresses, NOTATIONS)
        check_choice("table", table, TABLES)
        if from_ is not None and points is not None:
            raise CommandFailed("--from and --points: a profile has the points of a draft or those of a table", EXIT_WRONG)
        workbench = _workbench(adapter)
        asked = {"addresses": addresses, "line": line, "end": end}
        _check_used(workbench, adapter, asked)
        draft = "" if from_ is None else _text(str(from_))
        title = answered(title, "What people call the device: maker, model, kind", "--title")
        files = NewFiles(folder, slug(name or title), adapter)
        files.check_free(with_case=not no_case, force=force)
        facts = ProfileFacts(
            name=files.name,
            maker=answered(maker, "Maker, as its devices are sorted by it (may be empty)", "--maker", default="", needed=False),
            title=title,
            family=slug(answered(family, "Family, which a Xyte model is for (power-meter, inverter, ...)", "--family")),
            document=answered(document, "The maker's document, so that others find your source", "--document"),
            edition=answered(edition, "Its edition or date", "--edition", default="unknown", needed=False),
            section=f"{'register table' if adapter == 'modbus' else 'table of points'}"
            if from_ is None
            else "the registers of the device, as a scan read them",
            points="",
            table=table,
            draft=draft,
            **asked,
        )
        made = _made(workbench, facts, points)
        has_case = bool(made.case) and not no_case
        files.write(made, workbench.schemas()["profile"], with_case=has_case)
    _tell(files, made, has_case=has_case, as_json=as_json)
    if made.refused:
        raise typer.Exit(EXIT_FAILED)


def _made(workbench: Workbench, facts: ProfileFacts, file: str | None) -> NewProfile:
    """Return the profile with the points of the draft, of a file, or of a table that a person pastes and may paste again.

    Raises:
        CommandFailed: there is no such tool, no table, or no row of it is a point.
    """
    if facts.draft or file is not None or not is_terminal():
        points = "" if facts.draft else _text(answered(file, "", "--points"))
        if is_terminal() and not facts.draft:
            facts = _all_answered(workbench, facts, left_out="addresses")  # most tables of a file count as the protocol does
        return _profile_of(workbench, replace(facts, points=points))
    facts = _all_answered(workbench, facts)
    while True:
        points = pasted(f"the table; its first line names the columns: {workbench.table_columns}")
        try:
            return _profile_of(workbench, replace(facts, points=points))
        except CommandFailed as error:
            if not points:
                raise
            err.print(str(error), markup=False)


def _all_answered(workbench: Workbench, facts: ProfileFacts, left_out: str = "") -> ProfileFacts:
    """Ask for what the table does not say."""
    answers = {}
    for field, question in workbench.table_questions.items():
        if getattr(facts, field) is None and field != left_out:
            answers[field] = chosen(question, NOTATIONS) if field == "addresses" else answered(None, question, f"--{field}")
    return replace(facts, **answers)


def _check_used(workbench: Workbench, adapter: str, given: Mapping[str, str | None]) -> None:
    """Check that the adapter uses the options that are given.

    Raises:
        CommandFailed: it has no use for one.
    """
    for field, value in given.items():
        if value is not None and field not in workbench.table_questions:
            raise CommandFailed(f"--{field}: a profile for {adapter} has no use for it", EXIT_WRONG)


def _profile_of(workbench: Workbench, facts: ProfileFacts) -> NewProfile:
    try:
        made = workbench.new_profile(facts)
    except (NotOffered, ProfileProblems) as error:
        raise CommandFailed(str(error), EXIT_WRONG) from error
    if not made.points:
        raise CommandFailed("\n".join(("no row of the table is a point:", *made.refused)), EXIT_WRONG)
    return made


def _tell(files: NewFiles, made: NewProfile, *, has_case: bool, as_json: bool) -> None:
    """Tell what was written, what was left out, and the next commands."""
    profile = shlex.quote(str(files.profile))
    on_device = f"xyte-gateway profile check {profile} {files.adapter} ADDRESS{BUSES.get(files.adapter, '')}"
    tests = (
        f"xyte-gateway profile test {shlex.quote(str(files.all_cases))} --profiles {shlex.quote(str(files.folder))}",
        f"xyte-gateway profile check {profile} --cases {shlex.quote(str(files.cases))}",
    )
    steps = [*(tests if has_case else ()), on_device]
    if as_json:
        print_json(
            {
                "file": str(files.profile),
                "case": str(files.case) if has_case else None,
                "schema": str(files.schema),
                "points": made.points,
                "refused": list(made.refused),
                "next": on_device,
                "next_commands": steps,
            }
        )
        return
    out.print(f"{files.profile}: {made.points} points", markup=False, soft_wrap=True)
    if has_case:
        out.print(f"{files.case}: a case: put the words of a device in place of the made ones", markup=False, soft_wrap=True)
    out.print(f"{files.schema}: the keys of a profile, for editors", markup=False, soft_wrap=True)
    if not made.case:
        out.print("There is no case folder: its first answer could not be made up", markup=False, soft_wrap=True)
    for refused in made.refused:
        err.print(f"left out: {refused}", markup=False)
    if has_case:
        out.print(f"Run its cases: {tests[0]}", markup=False, soft_wrap=True)
        out.print(f"See what it lacks: {tests[1]}", markup=False, soft_wrap=True)
    out.print(f"Try it on the device: {on_device}", markup=False, soft_wrap=True)


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
