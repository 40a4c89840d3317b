"""Give the gateway bad neighbours: adapters with bugs, and clients of its page that hold connections. The healthy bus goes on."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from random import Random

from disturbed_site import DisturbedSite, Outcome

from gateway.testing.hostile_adapter import KINDS
from gateway.testing.hostile_control_flow import EXITS, HANGS

CLIENTS = Path(__file__).with_name("page_clients.py")
LEAST_SHARE = 4
"""The clients need processor time as well, which the uploads do not get: so a part of the uploads suffices."""

TOGETHER = 10
"""How many adapters with bugs run beside each other."""


async def run_hostile_adapters(folder: Path, chance: Random, *, kinds: int | None = None, seconds: float = 6.0) -> Outcome:
    """Run adapters of each kind beside a healthy one, ten at a time in random company."""
    outcome = Outcome("adapters with bugs")
    names = [*KINDS, *EXITS, *HANGS]
    chance.shuffle(names)
    names = names[:kinds]
    most_lines = 0
    for first in range(0, len(names), TOGETHER):
        company = names[first : first + TOGETHER]
        async with DisturbedSite(folder / str(first), chance, children=5, hostile=company) as site:
            outcome.require(await site.begin(), f"the healthy children do not send beside {company}")
            lines = site.log_lines()
            await asyncio.sleep(seconds)
            outcome.require(site.is_alive(), f"the gateway ended beside {company}: {site.log[-3000:]}")
            if site.is_alive():
                outcome.require(await site.flows(90), f"the healthy children starve beside {company}")
            most_lines = max(most_lines, site.log_lines() - lines)
            code = await site.stop()
            outcome.require(code == 0, f"the stop beside {company} ends with {code}: {site.log[-2000:]}")
            crashes = site.log.count("the gateway crashed")
            outcome.require(not crashes, f"crashed beside {company}: {site.log[-3000:]}")
    outcome.figures = {"kinds": len(names), f"most lines logged by {TOGETHER} of them in {seconds:g} s": most_lines}
    return outcome


async def hold_page(folder: Path, chance: Random, *, clients: int, seconds: float, compares: bool = True) -> Outcome:
    """Open connections to the page that stay idle, or send and read slowly, and compare the uploads with those beside none.

    In a short run on a busy machine the comparison means nothing, so that it is left out.
    """
    outcome = Outcome("clients that hold the page")
    async with DisturbedSite(folder, chance, children=10, page=True) as site:
        outcome.require(await site.begin(), "the children do not send at first")
        port = site.page_port()
        outcome.require(port is not None, "the address of the page is not in the log")
        beside_none = await _uploads(site, seconds)
        lines, begun = site.log_lines(), time.monotonic()
        arguments = map(str, (port, clients, seconds + 1, chance.random()))
        holding = await asyncio.create_subprocess_exec(sys.executable, str(CLIENTS), *arguments)  # of their own: they need a core
        await asyncio.sleep(1)
        beside_many = await _uploads(site, seconds)
        outcome.require(site.is_alive(), "the gateway ended")
        await holding.wait()
        logged = site.log_lines() - lines
        outcome.require(await site.flows(60), "nothing flows after the clients are gone")
        is_fair = beside_many > beside_none / LEAST_SHARE or not compares
        outcome.require(is_fair, f"{beside_many:.0f} uploads a second instead of {beside_none:.0f}")
        outcome.require(logged < 100 + clients / 10, f"{logged} lines logged for {clients} clients")
        outcome.figures |= {
            "clients": clients,
            "messages a second beside none": f"{beside_none:.1f}",
            "messages a second beside all": f"{beside_many:.1f}",
            "lines logged": logged,
            "seconds": f"{time.monotonic() - begun:.0f}",
        }
        await site.kill()
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_log(outcome)
    return outcome


async def _uploads(site: DisturbedSite, seconds: float) -> float:
    before = site.messages
    await asyncio.sleep(seconds)
    return (site.messages - before) / seconds
