"""Run the benchmarks and print each figure beside its baseline: `make bench`, or `make bench ARGS="-k NAME --json"`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from comparison import Comparison
from rich.console import Console
from rich.table import Table

NO_BENCHMARKS = {"run", "comparison", "stage"}
"""Files beside the benchmarks that hold none."""


def main() -> int:
    """Run what was asked for; exit code 1 when a goal was missed, 2 when no benchmark has that name."""
    arguments = parse_arguments()
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in NO_BENCHMARKS)
    chosen = [name for name in names if arguments.k in name]
    if not chosen:
        print(f"no benchmark has {arguments.k!r} in its name; there are: {', '.join(names)}", file=sys.stderr)  # noqa: T201  a script
        return 2
    compared = {name: compare(name) for name in chosen}
    if arguments.json:
        Console().print_json(as_json(compared))
    else:
        Console(width=None if sys.stdout.isatty() else 140).print(as_table(compared))
    return int(not all(it.holds for comparisons in compared.values() for it in comparisons))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", metavar="NAME", default="", help="run only benchmarks with this in their name")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def compare(name: str) -> Sequence[Comparison]:
    """Run one benchmark, and say so to whoever waits."""
    if sys.stderr.isatty():
        print(f"{name} ...", file=sys.stderr)  # noqa: T201  a script
    return tuple(import_module(name).compare())


def as_json(compared: Mapping[str, Iterable[Comparison]]) -> str:
    return json.dumps({name: [asdict(it) | {"ratio": it.ratio} for it in comparisons] for name, comparisons in compared.items()})


def as_table(compared: Mapping[str, Iterable[Comparison]]) -> Table:
    table = Table(
        *("benchmark", "figure", "baseline", "ratio", "goal"), title="figures of one run on this machine: compare the ratios"
    )
    for name, comparisons in compared.items():
        table.add_section()
        for it in comparisons:
            better = "more is better" if it.more_is_better else "less is better"
            baseline = f"{it.baseline:,.4g} {it.unit}\n{it.baseline_is}"
            goal = "-" if it.goal is None else f"{it.goal}\n{'reached' if it.holds else '[bold red]MISSED[/]'}"
            table.add_row(f"{name}\n{it.what}", f"{it.figure:,.4g} {it.unit}", baseline, f"{it.ratio:.2f}\n{better}", goal)
    return table


if __name__ == "__main__":
    sys.exit(main())
