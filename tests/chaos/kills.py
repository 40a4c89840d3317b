"""Kill a loaded gateway at random moments: nothing is lost or registered twice, and no start hangs.

The kills come while many children are polled, while others are registered, while commands run, while the hub fails, while an
older store is migrated, and during the first start, when the token of the page is shown.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

from disturbed_site import DisturbedSite, Outcome

STORES = Path(__file__).parents[1] / "state" / "stores"
KEPT_TABLES = ("children", "met", "names", "gateway")
FAULTS = ("slow", "drop", "drop-after", "drop-late", "garbage", "500-html", "429", "late")
"""None of these makes the gateway give up its identity."""
ANSWERS_WITHIN_SECONDS = 60.0


async def kill_loaded_gateway(folder: Path, chance: Random, *, kills: int) -> Outcome:
    """Kill a gateway with many children so often."""
    outcome = Outcome("kills of a loaded gateway")
    commands = []
    children = 20
    async with DisturbedSite(folder, chance, children=children, points=10) as site:
        await site.start()
        outcome.require(await site.until(lambda: len(site.children) == children), "the first children are not registered")
        site.emulator.cloud.claim(next(one.id for one in site.emulator.cloud.devices.values() if one.parent_id is None))
        for _ in range(kills):
            moment = chance.choice(["steady", "steady", "steady", "registering", "commands", "faults"])
            site.counted[moment] += 1
            if moment == "registering":
                children = min(children + 2, 60)
            if moment == "commands":
                for child in chance.sample(site.children, 3):
                    commands.append(site.emulator.cloud.queue_command(child.id, "set", {"power": float(len(commands))}))
            if moment == "faults":
                site.emulator.faults.add(chance.choice(FAULTS), times=chance.randint(1, 5), seconds=chance.uniform(0.05, 0.5))
            await asyncio.sleep(chance.uniform(0.05, 1.2))
            code = await site.kill()
            outcome.require(code == -9, f"a gateway ended by itself with {code} ({moment})")
            await site.start(children=children)
        before = site.messages
        outcome.require(await site.until(lambda: site.messages > before + 20, ANSWERS_WITHIN_SECONDS), "the last start hangs")
        outcome.require(await site.until(lambda: len(site.children) == children), "not every child is registered in the end")
        await site.kill()
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        outcome.figures["kills"] = kills
        outcome.figures |= {f"kills while {name}": times for name, times in sorted(site.counted.items())}
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        begun = Counter((folder / "executed").read_text(encoding="ascii").splitlines())
        outcome.figures["commands"] = len(commands)
        outcome.figures["commands run twice"] = sum(times > 1 for times in begun.values())
        outcome.require(max(begun.values(), default=0) <= 1, "a command was carried out twice")
        site.check_log(outcome)
    return outcome


async def kill_with_full_outbox(folder: Path, chance: Random, *, kills: int) -> Outcome:
    """Kill a gateway whose outbox is full, since the hub fails: what was dropped is recorded, to the last sample."""
    outcome = Outcome("kills with a full outbox")
    async with DisturbedSite(folder, chance, children=20, poll_seconds=0.02, telemetry_seconds=0.05, most_samples=1000) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        site.emulator.faults.add("500-html", times=None)
        full = await site.until(lambda: sum(one.lost for one in site.accounts()) > 0)
        outcome.require(full, "the outbox does not become full")
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            code = await site.kill()
            outcome.require(code == -9, f"a gateway ended by itself with {code}")
            await site.start()
        await site.kill()
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        outcome.figures["kills"] = kills
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
    return outcome


async def kill_migrations(folder: Path, chance: Random, *, kills: int) -> Outcome:
    """Kill gateways while they bring a store of an earlier version up to date."""
    outcome = Outcome("kills during a migration")
    versions = sorted(STORES.glob("version_*.sql"))[:-1]
    async with DisturbedSite(folder / "site", chance, children=5) as site:
        for number in range(kills):
            store, script = folder / f"store{number}", chance.choice(versions)
            store.mkdir(parents=True)
            with closing(sqlite3.connect(store / "gateway.sqlite3")) as db:
                db.executescript(script.read_text(encoding="utf-8"))
            before = _rows(store / "gateway.sqlite3")
            for _ in range(2):
                await site.start(folder=str(store))
                await asyncio.sleep(chance.uniform(0.0, 0.35))
                await site.kill()
            await site.start(folder=str(store))
            is_up = await site.until(
                lambda store=store: "numbered" in _log(store) or _version(store) >= 6, ANSWERS_WITHIN_SECONDS
            )
            outcome.require(is_up, f"{script.name}: the store is not migrated: {_log(store)[-2000:]}")
            code = await site.kill()
            outcome.require(code == -9, f"{script.name}: the gateway ended with {code}: {_log(store)[-2000:]}")
            after = _rows(store / "gateway.sqlite3")
            gone = {table: (count, after.get(table)) for table, count in before.items() if after.get(table, 0) < count}
            outcome.require(not gone, f"{script.name}: rows are gone: {gone}")
            shutil.rmtree(store)
    outcome.figures = {"kills": 2 * kills, "stores migrated": kills}
    return outcome


async def kill_first_starts(folder: Path, chance: Random, *, kills: int) -> Outcome:
    """Kill gateways in their first second: the token in effect was shown, and the gateway is registered once."""
    outcome = Outcome("kills of first starts")
    counted = Counter[str]()
    async with DisturbedSite(folder / "site", chance, children=3, page=True) as site:
        for number in range(kills):
            home = folder / f"home{number}"
            home.mkdir(parents=True)
            (home / "executed").touch()
            devices = len(site.emulator.cloud.devices)
            await site.start(folder=str(home))
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            code = await site.kill()
            outcome.require(code == -9, f"a first start ended by itself with {code}: {_log(home)[-2000:]}")
            file = home / "status-token"
            counted["token in effect"] += file.exists()
            outcome.require(not file.exists() or _shown(home), "a token is in effect that was never shown")
            await site.start(folder=str(home))
            is_up = await site.until(lambda home=home: (home / "status-token").exists() and _shown(home), ANSWERS_WITHIN_SECONDS)
            outcome.require(is_up, f"no token was shown in two starts: {_log(home)[-2000:]}")
            is_there = await site.until(
                lambda devices=devices: len(site.emulator.cloud.devices) > devices, ANSWERS_WITHIN_SECONDS
            )
            outcome.require(is_there, "the gateway is not registered after a killed first start")
            await site.kill()
            for one in list(site.emulator.cloud.devices.values()):
                if one.parent_id is None:
                    counted["registered"] += 1
                    site.emulator.cloud.delete(one.id)
            shutil.rmtree(home)
    outcome.require(counted["registered"] == kills, f"{counted['registered']} registrations of {kills} gateways")
    outcome.figures = {"kills": kills, "of them with a token in effect": counted["token in effect"], "never shown": 0}
    return outcome


def _rows(store: Path) -> dict[str, int]:
    with closing(sqlite3.connect(store)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in KEPT_TABLES if name in tables}


def _version(store: Path) -> int:
    with closing(sqlite3.connect(store / "gateway.sqlite3")) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def _log(folder: Path) -> str:
    file = folder / "log"
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _shown(folder: Path) -> list[str]:
    return re.findall(r"status page token[^:]*: (\S+)", _log(folder))
