"""Fuzz every parser for a given time and report the inputs, the rate and the crashes of each, with how to see them again.

    make fuzz                                     all parsers, a minute in all
    make fuzz ARGS="--for 600 --only modbus"      ten minutes, shared by the parsers whose name contains the word
    make fuzz ARGS="--seed 7 --only OBIS"         the inputs of that run again

hypothesis makes the inputs and shrinks what crashes. A crash is what the parser may not raise, a value that is no plain one, or
too much processor time; crashes of one kind at one line count once. The exit code is 1 if there was one.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzzed_parser import FuzzedParser, run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from parser_table import PARSERS
from rich.console import Console
from rich.table import Table

TREE = Path(__file__).parents[2]
ROUND = 500
"""Inputs between two looks at the clock."""

MEMORY_BYTES = 3 << 30
"""The address space of this process: a parser that wants more fails here, and not the machine."""


@dataclass(slots=True)
class Report:
    """What became of the inputs of one parser."""

    parser: FuzzedParser
    inputs: int = 0
    seconds: float = 0.0
    crashes: dict[str, str] = field(default_factory=dict)
    """Kind and line of a crash -> the smallest input that showed it."""


def main() -> int:
    """Run what the command line asks for, and return the exit code."""
    arguments = argparse.ArgumentParser(description="Fuzz the parsers.")
    arguments.add_argument("--for", dest="seconds", type=float, default=60.0, help="seconds in all")
    arguments.add_argument("--only", default="", help="only parsers whose name contains this")
    arguments.add_argument("--seed", type=int, help="that of a run that is to be repeated")
    arguments.add_argument("--inputs", type=int, help="so many for each parser, instead of a time")
    given_arguments = arguments.parse_args()
    chosen = [parser for parser in PARSERS if given_arguments.only.lower() in parser.name.lower()]
    if not chosen:
        arguments.error(f"no parser has {given_arguments.only!r} in its name")
    seed = given_arguments.seed if given_arguments.seed is not None else time.time_ns() % 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    console = Console()
    console.print(f"seed {seed}; the same inputs again: make fuzz ARGS=\"--seed {seed} --only '{given_arguments.only}'\"")
    reports = []
    for parser in chosen:
        reports.append(fuzz(parser, seed, given_arguments.seconds / len(chosen), given_arguments.inputs))
        for place in reports[-1].crashes:
            console.print(f"[red]{parser.name}: {place}[/red]", highlight=False)
    show(console, reports, seed)
    return 1 if any(report.crashes for report in reports) else 0


def fuzz(parser: FuzzedParser, seed: int, seconds: float, inputs: int | None) -> Report:
    """Run rounds of inputs until the time is over, or so many inputs are done."""
    report, begun = Report(parser), time.monotonic()
    number = 0
    while (report.inputs < inputs) if inputs is not None else (time.monotonic() - begun < seconds):
        _round(report, seed + number, min(ROUND, inputs - report.inputs) if inputs is not None else ROUND, begun + seconds)
        number += 1
    report.seconds = time.monotonic() - begun
    return report


def _round(report: Report, seed: int, examples: int, until: float) -> None:
    parser, known = report.parser, frozenset(report.crashes)
    last = ""

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(parser.inputs())
    def one(sent: object) -> None:
        nonlocal last
        if not last and time.monotonic() > until + 1:
            return  # hypothesis cannot be stopped, so the rest of the round costs nothing
        report.inputs += not last
        try:
            run(parser, sent)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or _place(error) in known:
                return
            last = _shown(sent)
            raise

    try:
        one()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        report.crashes[_place(error)] = last


def _place(error: BaseException) -> str:
    """Return the kind of a crash and the last line of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(str(TREE)) and "/.venv/" not in frame.filename]
    frame = next((one for one in reversed(ours) if "/tests/fuzz/" not in one.filename), ours[-1] if ours else frames[-1])
    told = f": {error}" if isinstance(error, AssertionError) else ""
    return (
        f"{type(error).__name__}{told[:80]} at {Path(frame.filename).relative_to(TREE)}:{frame.lineno}"
        if ours
        else repr(error)[:200]
    )


def _shown(sent: object) -> str:
    text = repr(sent)
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-150:]} ({len(text)} characters)"


def show(console: Console, reports: Sequence[Report], seed: int) -> None:
    """Print the table, and under it each crash with its input."""
    table = Table("parser", "inputs", "inputs/s", "crashes")
    for report in reports:
        rate = report.inputs / report.seconds if report.seconds else 0.0
        table.add_row(report.parser.name, f"{report.inputs:,}", f"{rate:,.0f}", str(len(report.crashes)))
    total = sum(report.inputs for report in reports)
    table.add_section()
    table.add_row(f"{len(reports)} parsers", f"{total:,}", "", str(sum(len(report.crashes) for report in reports)))
    console.print(table)
    for report in reports:
        for place, sent in report.crashes.items():
            console.print(f"{report.parser.name}\n  {place}\n  input: {sent}", markup=False, highlight=False)
            console.print(
                f"  again: make fuzz ARGS=\"--seed {seed} --only '{report.parser.name}'\"", markup=False, highlight=False
            )


if __name__ == "__main__":
    sys.exit(main())
