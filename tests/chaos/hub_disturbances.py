"""Let the hub fail in every way that the emulator knows while samples flow: nothing is lost, and the gateway goes on."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import trustme
from disturbed_site import DisturbedSite, Outcome

from gateway.emulator import Emulator
from gateway.emulator.addresses import ServerAddress
from gateway.emulator.faults import DOWNLOAD_KINDS, KINDS

SILENT_SECONDS = 10.0


def may_ask_for_wait(kind: str) -> bool:
    """Return whether an answer of this kind may ask the gateway to be quiet for long."""
    return kind.startswith(("date-", "body-", "shape-")) or "429" in kind or "503" in kind


async def fail_in_every_way(folder: Path, chance: Random, *, kinds: int | None = None) -> Outcome:
    """Give each kind of fault once, in random order, to one to three calls of any kind."""
    outcome = Outcome("faults of the hub")
    names = [kind for kind in KINDS if kind not in DOWNLOAD_KINDS]
    chance.shuffle(names)
    names = names[:kinds]
    async with DisturbedSite(folder, chance, children=10) as site:
        outcome.require(await site.begin(), "the children do not send before the first fault")
        waits = 0
        for kind in names:
            before = site.messages
            site.emulator.faults.add(kind, times=chance.randint(1, 3), seconds=chance.uniform(0.1, 1.0), retry_after=1)
            await site.until(lambda: not site.emulator.faults.active(), chance.uniform(0.2, 2))
            site.emulator.faults.clear()
            if not site.is_alive():
                outcome.violations.append(f"the gateway ended after {kind}: {site.log[-2000:]}")
                return outcome
            if not await site.until(lambda before=before: site.messages > before, SILENT_SECONDS):
                waits += 1  # the hub has asked for a long wait, which another start does not know of
                await site.kill()
                await site.start()
        outcome.require(waits <= sum(may_ask_for_wait(kind) for kind in names), f"nothing was sent after {waits} of the faults")
        outcome.require(await site.flows(120), "nothing flows after the last fault")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome, may_be_lost_yet_received=True)
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures |= {
            "kinds of fault": len(names),
            "long waits that the hub asked for": waits,
            "lines logged": site.log_lines(),
        }
    return outcome


async def break_tls(folder: Path, chance: Random, *, rounds: int) -> Outcome:
    """Change the certificate of the cloud to one that cannot be trusted, and back."""
    outcome = Outcome("certificates of the hub")
    right, other = trustme.CA(), trustme.CA()
    right.cert_pem.write_to_path(folder / "ca.pem")
    past = datetime.now(UTC) - timedelta(days=30)
    certificates = {
        "another authority": lambda: other.issue_cert("127.0.0.1"),
        "another host": lambda: right.issue_cert("elsewhere.example"),
        "expired": lambda: right.issue_cert("127.0.0.1", not_before=past, not_after=past + timedelta(days=1)),
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    right.issue_cert("127.0.0.1").configure_cert(context)
    emulator = Emulator(ServerAddress(ssl_context=context))
    async with DisturbedSite(folder, chance, emulator=emulator, children=5, ca_file=str(folder / "ca.pem")) as site:
        outcome.require(await site.begin(), "the children do not send before the first fault")
        for number in range(rounds):
            name = list(certificates)[number % len(certificates)]
            certificates[name]().configure_cert(context)
            site.emulator.faults.add("drop", times=None)  # what is open is closed, so that it has to be opened anew
            await asyncio.sleep(chance.uniform(1.5, 3))
            site.emulator.faults.clear()
            before = site.messages
            await asyncio.sleep(chance.uniform(1, 2))
            outcome.require(site.messages == before, f"{name}: messages go on to a server that cannot be trusted")
            right.issue_cert("127.0.0.1").configure_cert(context)
            outcome.require(await site.flows(120), f"{name}: nothing flows when the certificate is right again")
            outcome.require(site.is_alive(), f"{name}: the gateway ended")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures["certificates changed"] = rounds
    return outcome


async def take_hub_away(folder: Path, chance: Random, *, seconds: float) -> Outcome:
    """Stop the cloud and start it again, again and again."""
    outcome = Outcome("outages of the hub")
    outages = 0
    async with DisturbedSite(folder, chance, children=10) as site:
        outcome.require(await site.begin(), "the children do not send before the first outage")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await site.emulator.__aexit__(None, None, None)
            await asyncio.sleep(chance.uniform(0.1, 2))
            await site.emulator.__aenter__()
            await asyncio.sleep(chance.uniform(0.1, 2))
            outages += 1
        outcome.require(await site.flows(120), "nothing flows after the last outage")
        outcome.require(await site.kill() == -9, "the gateway ended by itself")
        outcome.require(await site.drain(), "the outbox is not empty in the end")
        site.check_accounts(outcome)
        site.check_registrations(outcome)
        site.check_log(outcome)
        outcome.figures["outages"] = outages
    return outcome
