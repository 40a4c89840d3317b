"""Disturb the gateway in every way, and report what each scenario has shown.

    make chaos                                        all scenarios, some minutes
    make chaos ARGS="--only kills --kills 1000"       the scenarios whose name contains the word
    make chaos ARGS="--only soak --for 1800"          half an hour of load with a fault every few seconds
    make chaos ARGS="--seed 7"                        the moments and faults of that run again

The exit code is 1 when something was lost, done twice, crashed or hung; each such violation is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random

import hub_disturbances
import kills
import machine_disturbances
import neighbour_disturbances
import soak
from disturbed_site import Outcome
from rich.console import Console
from rich.table import Table

Scenario = Callable[[Path, Random, argparse.Namespace], Awaitable[Outcome]]

SCENARIOS: Mapping[str, Scenario] = {
    "kills": lambda folder, chance, given: kills.kill_loaded_gateway(folder, chance, kills=given.kills),
    "kills-full-outbox": lambda folder, chance, given: kills.kill_with_full_outbox(
        folder, chance, kills=max(3, given.kills // 10)
    ),
    "kills-migration": lambda folder, chance, given: kills.kill_migrations(folder, chance, kills=max(2, given.kills // 20)),
    "kills-first-start": lambda folder, chance, given: kills.kill_first_starts(folder, chance, kills=max(2, given.kills // 20)),
    "hub-faults": lambda folder, chance, given: hub_disturbances.fail_in_every_way(
        folder, chance, kinds=max(10, int(given.seconds))
    ),
    "hub-outages": lambda folder, chance, given: hub_disturbances.take_hub_away(folder, chance, seconds=given.seconds),
    "hub-certificates": lambda folder, chance, _: hub_disturbances.break_tls(folder, chance, rounds=6),
    "disk-full": lambda folder, chance, given: machine_disturbances.fill_disk(folder, chance, rounds=_rounds(given, 8)),
    "disk-read-only": lambda folder, chance, given: machine_disturbances.protect_store(folder, chance, rounds=_rounds(given, 10)),
    "store-removed": lambda folder, chance, given: machine_disturbances.remove_store(folder, chance, rounds=_rounds(given, 5)),
    "store-damaged": lambda folder, chance, given: machine_disturbances.damage_store(folder, chance, rounds=_rounds(given, 3)),
    "clock": lambda folder, chance, _: machine_disturbances.set_clock(folder, chance),
    "descriptors": lambda folder, chance, given: machine_disturbances.take_descriptors(folder, chance, rounds=_rounds(given, 6)),
    "adapters": lambda folder, chance, given: neighbour_disturbances.run_hostile_adapters(
        folder, chance, kinds=max(10, int(given.seconds))
    ),
    "page-clients": lambda folder, chance, given: neighbour_disturbances.hold_page(
        folder, chance, clients=2000, seconds=min(30.0, given.seconds)
    ),
    "soak": lambda folder, chance, given: soak.load(folder, chance, seconds=given.seconds),
}


def _rounds(given: argparse.Namespace, seconds_each: float) -> int:
    return max(1, int(given.seconds / seconds_each))


def main() -> int:
    """Run what the command line asks for, and return the exit code."""
    arguments = argparse.ArgumentParser(description="Disturb the gateway.")
    arguments.add_argument("--only", default="", help=f"scenarios whose name contains this: {', '.join(SCENARIOS)}")
    arguments.add_argument("--kills", type=int, default=100, help="how many kills of a loaded gateway")
    arguments.add_argument("--for", dest="seconds", type=float, default=60.0, help="how long each scenario that has no end lasts")
    arguments.add_argument("--seed", type=int, help="that of a run that is to be repeated")
    given = arguments.parse_args()
    chosen = {name: scenario for name, scenario in SCENARIOS.items() if given.only in name}
    if not chosen:
        arguments.error(f"no scenario has {given.only!r} in its name; there are {', '.join(SCENARIOS)}")
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    console = Console()
    console.print(
        f'seed {seed}; again: make chaos ARGS="--seed {seed} --only {given.only!r} --kills {given.kills} --for {given.seconds:g}"'
    )
    violations = 0
    for name, scenario in chosen.items():
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
            outcome = asyncio.run(scenario(Path(folder), Random(f"{seed} {name}"), given))
        violations += len(outcome.violations)
        show(console, name, outcome, time.monotonic() - begun)
    return 1 if violations else 0


def show(console: Console, name: str, outcome: Outcome, seconds: float) -> None:
    """Print the figures of one scenario, and each violation."""
    table = Table("figure", "value", title=f"{name}: {outcome.scenario} ({seconds:.0f} s)", title_justify="left")
    for figure, value in outcome.figures.items():
        table.add_row(figure, str(value))
    table.add_row("violations", str(len(outcome.violations)))
    console.print(table)
    for violation in outcome.violations:
        console.print(f"VIOLATION: {violation}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
