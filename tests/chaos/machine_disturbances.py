"""Take from the gateway what it stands on: disk, store, clock, descriptors. It goes on and accounts for every sample."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from disturbed_site import DisturbedSite, Outcome

DAY = 86400.0
CLOCKS = {"one day ahead": DAY, "one day behind": -DAY, "a year ahead": 365 * DAY, "a year behind": -365 * DAY}


async def fill_disk(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Let the files of the gateway grow no more for a while, as on a full disk, and again."""
    outcome = Outcome("full disk")
    async with DisturbedSite(folder, chance, children=10) as site:
        outcome.require(await site.begin(), "the children do not send before the disk is full")
        for _ in range(rounds):
            largest = max(file.stat().st_size for file in site.store_files())
            site.limit(resource.RLIMIT_FSIZE, chance.choice([largest // 2, largest, 4096]))
            await asyncio.sleep(chance.uniform(2, 6))
            outcome.require(site.is_alive(), "the gateway ended on a full disk")
            site.limit(resource.RLIMIT_FSIZE, None)
            outcome.require(await site.flows(120), "nothing flows when the disk has room again")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures["times that the disk was full"] = rounds
    return outcome


async def protect_store(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Start on a disk that is read-only: the start is refused with the reason, and the next one goes on as before."""
    outcome = Outcome("read-only disk")
    async with DisturbedSite(folder, chance, children=5, obeys_modes=True) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        for _ in range(rounds):
            await (site.stop() if chance.random() < 0.5 else site.kill())
            _set_modes([folder, *site.store_files()], writable=False)
            await site.start()
            code = await site.ended() if await site.until(lambda: not site.is_alive(), 30) else await site.kill()
            outcome.require(code == 3, f"the start on a read-only disk ends with {code}: {site.log[-2000:]}")
            _set_modes([folder, *site.store_files()], writable=True)
            outcome.require(await site.begin(), "the gateway does not go on when the disk can be written again")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures |= {"starts on a read-only disk": rounds, "children": len(site.children)}
    return outcome


def _set_modes(paths: Iterable[Path], *, writable: bool) -> None:
    for path in paths:
        if path.exists():
            path.chmod(path.stat().st_mode | 0o200 if writable else path.stat().st_mode & ~0o222)


async def remove_store(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Remove the files of the store while the gateway runs: it says so, puts them back, and remains the same gateway."""
    outcome = Outcome("store removed while running")
    async with DisturbedSite(folder, chance, children=10) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        for number in range(rounds):
            for file in site.store_files():
                file.unlink()
            back = await site.until(site.store.exists, 60)
            outcome.require(back, "the store is not put back")
            outcome.require(await site.flows(60), "nothing flows after the store was removed")
            outcome.require(site.is_alive(), "the gateway ended when its store was removed")
            if number % 2:
                await asyncio.sleep(chance.uniform(0, 1))
                await site.kill()
                outcome.require(await site.begin(), "the gateway does not start after its store was removed and put back")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures |= {"times removed": rounds, "children": len(site.children)}
    return outcome


async def damage_store(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Overwrite random places of the store, while the gateway is stopped and while it runs."""
    outcome = Outcome("store damaged")
    refused = 0
    async with DisturbedSite(folder, chance, children=5) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        await site.stop()
        shutil.copytree(folder, folder.with_name("sound"))
        for number in range(rounds):
            is_running = chance.random() < 0.3
            for file in site.store_files():
                file.unlink()
            shutil.copytree(folder.with_name("sound"), folder, dirs_exist_ok=True)
            if is_running:
                await site.start()
                await asyncio.sleep(chance.uniform(0.2, 1))
            _overwrite(site.store, chance)
            if not is_running:
                await site.start()
            await asyncio.sleep(1.5)
            if site.is_alive():
                code = await site.kill()
                outcome.require(code == -9, f"damage {number}: the gateway ended with {code}")
            else:
                code = await site.ended()
                refused += code == 3
                outcome.require(code == 3, f"damage {number}: the gateway crashed with {code}: {site.log[-3000:]}")
        site.check_registrations(outcome)
        outcome.figures |= {"times damaged": rounds, "starts refused with a reason": refused}
    shutil.rmtree(folder.with_name("sound"))
    return outcome


def _overwrite(store: Path, chance: Random) -> None:
    """Overwrite up to eight places of the file with other bytes."""
    with store.open("r+b") as file:
        size = store.stat().st_size
        for _ in range(chance.randint(1, 8)):
            file.seek(chance.randrange(100 if chance.random() < 0.9 else 0, size))
            file.write(chance.randbytes(chance.choice([1, 4, 64, 4096])))


async def set_clock(folder: Path, chance: Random, *, clocks: int | None = None) -> Outcome:
    """Set the clock forward and back by a day and a year while samples flow, and start in 1970."""
    outcome = Outcome("wrong clock")
    async with DisturbedSite(folder, chance, children=5) as site:
        wrong = [*CLOCKS.items(), ("1970", -time.time() + 3600)]
        chance.shuffle(wrong)
        for name, seconds in wrong[:clocks]:
            outcome.require(await site.begin(seconds_ahead=seconds), f"{name}: the children do not send")
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
                os.kill(site.process_id, number)
                await asyncio.sleep(chance.uniform(0.3, 1))
                outcome.require(site.is_alive(), f"{name}: the gateway ended when the clock was set")
            outcome.require(await site.flows(60), f"{name}: nothing flows after the clock was set right")
            outcome.require(await site.kill() == -9, f"{name}: the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures["clocks"] = len(wrong[:clocks])
    return outcome


async def take_descriptors(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Leave the gateway no descriptor for a while: nothing can be opened."""
    outcome = Outcome("no descriptors")
    async with DisturbedSite(folder, chance, children=10) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        lines = site.log_lines()
        for _ in range(rounds):
            used = site.descriptors()
            site.limit(resource.RLIMIT_NOFILE, chance.choice([used, used + 1, used // 2, 3]))
            site.emulator.faults.add("drop", times=5)  # what is open is closed, and cannot be opened again
            await asyncio.sleep(chance.uniform(1, 4))
            outcome.require(site.is_alive(), "the gateway ended without descriptors")
            site.limit(resource.RLIMIT_NOFILE, None)
            site.emulator.faults.clear()
            outcome.require(await site.flows(120), "nothing flows when there are descriptors again")
        outcome.figures |= {"times without descriptors": rounds, "lines logged": site.log_lines() - lines}
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
    return outcome
