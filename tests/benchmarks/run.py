"""Run the benchmarks and print each figure beside its baseline: `make bench`, or `make bench ARGS="-k NAME --json"`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict

import modbus_points
import simulated_host
from comparison import Comparison
from rich.console import Console
from rich.table import Table

BENCHMARKS: dict[str, Callable[[], Comparison]] = {
    "modbus_points": modbus_points.compare,
    "simulated_host": simulated_host.compare,
}


def main() -> int:
    """Run what was asked for; exit code 2 when no benchmark has that name."""
    arguments = parse_arguments()
    chosen = {name: compare for name, compare in BENCHMARKS.items() if arguments.k in name}
    if not chosen:
        print(f"no benchmark has {arguments.k!r} in its name; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)  # noqa: T201  a script
        return 2
    comparisons = {name: compare() for name, compare in chosen.items()}
    if arguments.json:
        Console().print_json(as_json(comparisons))
    else:
        Console().print(as_table(comparisons))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", metavar="NAME", default="", help="run only benchmarks with this in their name")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def as_json(comparisons: Mapping[str, Comparison]) -> str:
    return json.dumps({name: asdict(comparison) | {"ratio": comparison.ratio} for name, comparison in comparisons.items()})


def as_table(comparisons: Mapping[str, Comparison]) -> Table:
    table = Table("benchmark", "figure", "baseline", "ratio", title="figures of one run on this machine: compare the ratios")
    for name, it in comparisons.items():
        better = "more is better" if it.more_is_better else "less is better"
        figures = (f"{it.figure:,.4g} {it.unit}", f"{it.baseline:,.4g} {it.unit}\n{it.baseline_is}", f"{it.ratio:.2f}\n{better}")
        table.add_row(f"{name}\n{it.what}", *figures)
    return table


if __name__ == "__main__":
    sys.exit(main())
