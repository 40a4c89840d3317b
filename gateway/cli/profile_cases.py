"""`xyte-gateway profile test`: run case folders, and show what differs from what they expect."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import CaseResult, NotOffered, ProfileProblems, Workbench
from gateway.cli.common import EXIT_FAILED, EXIT_WRONG, AsJson, CommandFailed, errors_shown, out, print_json, problem_list
from gateway.field.plugins import installed, usable

CASE_FILES = ("device.toml", "expected.toml")


@dataclasses.dataclass(frozen=True, slots=True)
class RunCase:
    """One case folder, and its result or why there is none."""

    folder: Path
    result: CaseResult | ProfileProblems

    @property
    def name(self) -> str:
        """The profile and the case."""
        return f"{self.folder.absolute().parent.name}/{self.folder.name}"


def run_cases(
    folder: Annotated[Path, typer.Argument(help="A case folder, or one with such folders: PROFILE/CASE.")],
    profiles: Annotated[
        Path | None, typer.Option("--profiles", help="The folder of your profiles; left out, those of the gateway are tested.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Run case folders: find and read each device in memory, and show what differs from what the case expects.

    A case folder is PROFILE/CASE with device.toml (what the device answers) and expected.toml (what must be made of it).
    Exit code 1 if a case differs, 2 if a file has a mistake or there is no case.
    """
    with errors_shown(as_json=as_json):
        folders = sorted({file.parent for name in CASE_FILES for file in folder.rglob(name)})
        if not folders:
            told = f"{folder}: there is no case in it: a case is a folder PROFILE/CASE with device.toml and expected.toml"
            raise CommandFailed(told if folder.is_dir() else f"{folder}: there is no such folder", EXIT_WRONG)
        cases = asyncio.run(_run(folders, profiles))
    if as_json:
        print_json({"cases": [_facts(case) for case in cases]})
    else:
        _show(cases)
    results = [case.result for case in cases]
    if any(isinstance(result, ProfileProblems) for result in results):
        raise typer.Exit(EXIT_WRONG)
    if any(isinstance(result, CaseResult) and result.differences for result in results):
        raise typer.Exit(EXIT_FAILED)


async def _run(folders: Sequence[Path], profiles: Path | None) -> list[RunCase]:
    workbenches = _workbenches()
    cases = []
    for folder in folders:
        try:
            workbench = _workbench_of(folder.absolute().parent.name, profiles, workbenches)
            result: CaseResult | ProfileProblems = await workbench.run_case(folder, () if profiles is None else (profiles,))
        except ProfileProblems as error:
            result = error
        except NotOffered as error:
            result = ProfileProblems(f"{folder}: {error}")
        cases.append(RunCase(folder, result))
    return cases


def _workbenches() -> list[Workbench]:
    workbenches = []
    for adapter in usable(installed()).values():
        try:
            workbenches.append(adapter.workbench())
        except NotOffered:
            continue
    return workbenches


def _workbench_of(profile: str, profiles: Path | None, workbenches: Sequence[Workbench]) -> Workbench:
    """Return the tools of the adapter that a profile is for.

    Raises:
        ProfileProblems: there is no such profile, or it has mistakes.
    """
    file = None if profiles is None else profiles / f"{profile}.toml"
    wrong: list[ProfileProblems] = []
    for workbench in workbenches:
        try:
            if file is not None and file.exists():
                workbench.check_profile(file)
                return workbench
            if profile in {known.name for known in workbench.profiles()}:
                return workbench
        except NotOffered:
            continue
        except ProfileProblems as error:
            wrong.append(error)
    if wrong:
        raise min(wrong, key=lambda error: (error.strangeness, len(error.problems)))
    where = "" if profiles is None else f" in {profiles} or"
    raise ProfileProblems(f"{profile}: there is no such profile{where} in the gateway: name its folder with --profiles")


def _facts(case: RunCase) -> dict[str, Any]:
    facts: dict[str, Any] = {"case": case.name, "folder": str(case.folder)}
    if isinstance(case.result, ProfileProblems):
        return {**facts, "result": "wrong", "error": str(case.result), "problems": problem_list(case.result.problems)}
    differences = [dataclasses.asdict(one) for one in case.result.differences]
    return {
        **facts,
        "result": "differs" if differences else "passed",
        "compared": case.result.compared,
        "differences": differences,
    }


def _show(cases: Sequence[RunCase]) -> None:
    for case in cases:
        if isinstance(case.result, ProfileProblems):
            out.print(f"[red]wrong[/]    {escape(case.name)}", soft_wrap=True)
            for line in str(case.result).splitlines():
                out.print(f"    {line}", markup=False, soft_wrap=True)
        elif case.result.differences:
            out.print(f"[red]differs[/]  {escape(case.name)}", soft_wrap=True)
            table = Table("", "expected", "got", box=None, padding=(0, 2, 0, 2))
            for one in case.result.differences:
                table.add_row(*map(escape, (one.what, one.expected, one.got)))
            out.print(table)
        else:
            out.print(f"[green]passed[/]   {escape(case.name)}: {case.result.compared} comparisons", soft_wrap=True)
    passed = sum(1 for case in cases if isinstance(case.result, CaseResult) and not case.result.differences)
    out.print(f"\n{passed} of {len(cases)} cases passed")
