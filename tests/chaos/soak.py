"""Load the gateway for a long time, with a fault every few seconds: memory, descriptors, tasks and threads stay flat."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from disturbed_site import DisturbedSite, Outcome

FAULTS = ("slow", "drop", "drop-after", "drop-late", "garbage", "500-html", "429", "late")
MOST_MEGABYTES_AN_HOUR = 40.0
"""A slope above this in the second half is a leak; the caches of Python and SQLite settle in the first."""
LEAST_LOOKS = 4
"""With fewer there are no two halves to compare."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the process has at one moment."""

    at: float
    megabytes: float
    descriptors: int
    threads: int
    tasks: int
    readings: int


async def load(folder: Path, chance: Random, *, seconds: float, points_a_second: int = 10_000) -> Outcome:
    """Poll 100 children with 100 points each at this rate, and disturb them every few seconds."""
    outcome = Outcome(f"soak at {points_a_second:,} points a second")
    children, points = 100, 100
    looks: list[Look] = []
    faults = 0
    every = children * points / points_a_second
    async with DisturbedSite(folder, chance, children=children, points=points, poll_seconds=every, telemetry_seconds=5) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < seconds or len(looks) < LEAST_LOOKS:  # a busy machine has few in the time
            if (look := _look(site, now)) is not None:
                looks.append(look)
            _disturb(site, chance)
            faults += 1
            await asyncio.sleep(chance.uniform(1, 3))
            site.limit(resource.RLIMIT_FSIZE, None)
            outcome.require(site.is_alive(), "the gateway ended")
            if not site.is_alive():
                return outcome
        site.emulator.faults.clear()
        outcome.require(await site.flows(120), "nothing flows in the end")
        looks += [look for look in [_look(site, time.monotonic() - begun)] if look is not None]
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_log(outcome)
    _judge(outcome, looks, seconds, faults)
    return outcome


def _disturb(site: DisturbedSite, chance: Random) -> None:
    if chance.random() < 0.15:
        site.limit(resource.RLIMIT_FSIZE, 4096)  # the disk is full until the next look
    else:
        site.emulator.faults.add(
            chance.choice(FAULTS), times=chance.randint(1, 5), seconds=chance.uniform(0.1, 1.5), retry_after=1
        )


def _look(site: DisturbedSite, at: float) -> Look | None:
    process = Path(f"/proc/{site.process_id}")
    lines = (site.folder / "figures").read_text(encoding="ascii").splitlines()
    try:
        status = dict(line.split(":", 1) for line in (process / "status").read_text(encoding="ascii").splitlines() if ":" in line)
        tasks, readings = map(int, lines[0].split())
        return Look(
            at=at,
            megabytes=int(status["VmRSS"].split()[0]) / 1024,
            descriptors=site.descriptors(),
            threads=int(status["Threads"]),
            tasks=tasks,
            readings=readings,
        )
    except (OSError, IndexError, ValueError):
        return None


def _judge(outcome: Outcome, looks: Sequence[Look], seconds: float, faults: int) -> None:
    if len(looks) < LEAST_LOOKS:
        outcome.violations.append("there are too few figures of the process")
        return
    later = looks[len(looks) // 2 :]
    slope = _slope_an_hour([(look.at, look.megabytes) for look in later])
    rate = (looks[-1].readings - looks[0].readings) / max(looks[-1].at - looks[0].at, 1)
    outcome.figures |= {
        "seconds": round(seconds),
        "faults": faults,
        "points a second": f"{rate:,.0f}",
        "megabytes": _course([round(look.megabytes) for look in looks]),
        "slope of the second half": f"{slope:+.1f} MB an hour",
        **{name: _course([getattr(look, name) for look in looks]) for name in ("descriptors", "threads", "tasks")},
    }
    if seconds >= 600:  # in less, the slope is the noise of a few megabytes
        outcome.require(slope <= MOST_MEGABYTES_AN_HOUR, f"the memory grows by {slope:.1f} MB an hour")
    for name in ("descriptors", "threads", "tasks"):
        first, last = getattr(looks[len(looks) // 2], name), getattr(looks[-1], name)
        outcome.require(last <= 1.5 * first + 20, f"{name} grow from {first} to {last}")


def _course(values: Sequence[int]) -> str:
    return f"{values[0]} at first, {values[-1]} in the end, at most {max(values)}"


def _slope_an_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares."""
    mean_at, mean = (sum(point[place] for point in points) / len(points) for place in (0, 1))
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return 3600 * sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0
