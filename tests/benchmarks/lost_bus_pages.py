"""What 1,000 children with a lost bus cost the status page: CPU time and bytes of five open pages, first paint, delay.

As `status_page`, with one more host than it needs: that of 247 units, as many as a bus has, is closed and opened again. The pages
are the overview, the topology, the events, a child and the bus that is lost. Spans with these open and with none take turns.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection

import aiohttp
from comparison import Comparison
from modbus_points import run_work, serve_cloud
from playwright.async_api import async_playwright
from simulated_host import serving
from status_page import POLL_SECONDS, Load, Running, Span, gateway, load, open_page, registers

from gateway.status.model import encode_id
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

LOST = 247
"""As many units as one Modbus bus can have."""
UNITS = (LOST, 247, 247, 247, 12)
CHILDREN = sum(UNITS)
SPAN_SECONDS = 30.0
ROUNDS = 2
LOADS = 10
VIEWPORTS = {"desk": (1400, 900), "phone": (360, 740)}

MOST_PERCENT, MOST_PAINT_MS, MOST_BYTES_A_SECOND, MOST_SECONDS = 3, 1000, 4000, 10
MOST_KILOBYTES = 300


def compare() -> Iterator[Comparison]:
    """Lose a bus, look at the pages meanwhile, and let it come back."""
    with hosts() as (switch, ports), serving(serve_cloud) as entry_url:
        units = dict(zip(ports, UNITS, strict=True))
        with gateway(units, entry_url) as running:
            bus = f"/buses/{encode_id('modbus', f'127.0.0.1:{ports[0]}')}"
            pages = ("/", "/topology", "/events", running.child, bus)
            well = costs(running, pages)
            lost_seconds, lines = asyncio.run(shown(running.address, lambda: switch(False), is_lost))
            time.sleep(2 * POLL_SECONDS)
            lost = costs(running, pages)
            painted = asyncio.run(paints(running.address))
            back_seconds, _ = asyncio.run(shown(running.address, lambda: switch(True), is_well))
    yield from cost_figures(well, lost)
    yield from paint_figures(painted)
    yield Comparison(
        what=f"from the loss of a bus with {LOST} children to the open page that shows it, in {lines} line{'s'[: lines != 1]}",
        unit="s",
        figure=lost_seconds,
        baseline=back_seconds,
        baseline_is="from its return to the page that shows nothing wrong",
        more_is_better=False,
        goal=f"one line, in at most {MOST_SECONDS} s",
        holds=lines == 1 and lost_seconds <= MOST_SECONDS,
    )


def cost_figures(well: Costs, lost: Costs) -> Iterator[Comparison]:
    """Tell the CPU time and the bytes of the open pages, while all is well and while the bus is lost."""
    for what, costs_then in (("all well", well), (f"a bus of {LOST} lost", lost)):
        more = costs_then.watched.percent - costs_then.alone.percent
        yield Comparison(
            what=f"CPU of a gateway with {CHILDREN:,} children, {what}, five pages open: {more:.2f} % of a core more",
            unit="% of a core",
            figure=costs_then.watched.percent,
            baseline=costs_then.alone.percent,
            baseline_is="none open, the same polling",
            more_is_better=False,
            goal=f"at most {MOST_PERCENT} % of a core more",
            holds=more <= MOST_PERCENT,
        )
    for name in lost.bytes_a_second:
        yield Comparison(
            what=f"sent each second to the open page: {name}, a bus of {LOST} lost",
            unit="bytes/s",
            figure=lost.bytes_a_second[name],
            baseline=well.bytes_a_second[name],
            baseline_is="all well",
            more_is_better=False,
            goal=f"at most {MOST_BYTES_A_SECOND:,} bytes/s",
            holds=lost.bytes_a_second[name] <= MOST_BYTES_A_SECOND,
        )


def paint_figures(painted: Mapping[str, Sequence[Load]]) -> Iterator[Comparison]:
    """Tell how the overview comes to the screen while the bus is lost."""
    plain = painted["desk without it"]
    for name in VIEWPORTS:
        loads = painted[name]
        worst, page = max(one.painted_ms for one in loads), loads[-1]
        yield Comparison(
            what=f"first contentful paint of the overview on a {name}, a bus of {LOST} lost, median of {LOADS};"
            f" {worst:.0f} ms the slowest; {page.document_bytes / 1000:.0f} kB HTML, {page.sent_bytes / 1000:.0f} kB sent",
            unit="ms",
            figure=statistics.median(one.painted_ms for one in loads),
            baseline=statistics.median(one.painted_ms for one in plain),
            baseline_is="the page that asks for the token, which shows nothing of the gateway",
            more_is_better=False,
            goal=f"each under {MOST_PAINT_MS} ms, at most {MOST_KILOBYTES} kB unpacked",
            holds=worst < MOST_PAINT_MS and page.plain_bytes <= 1000 * MOST_KILOBYTES,
        )


# what the pages cost ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Costs:
    """What the gateway took with the pages open and with none, and what it sent to them."""

    alone: Span
    watched: Span
    bytes_a_second: Mapping[str, float]
    """By the kind of page."""


def costs(running: Running, pages: Sequence[str]) -> Costs:
    """Let spans with these pages open and with none take turns."""
    alone, watched, heard = Span(), Span(), Counter[str]()
    for _ in range(ROUNDS):
        alone += running.span(SPAN_SECONDS)
        watched += asyncio.run(watch(running, pages, heard))
    names = ("overview", "topology", "events", "child", "lost bus")
    return Costs(alone, watched, {name: heard[page] / watched.seconds for name, page in zip(names, pages, strict=True)})


async def watch(running: Running, pages: Sequence[str], heard: Counter[str]) -> Span:
    """Keep these pages open for a span, and count what is sent after the page itself."""
    async with AsyncExitStack() as stack:
        for path in pages:
            await stack.enter_async_context(open_page(running.address, path, heard))
        return await asyncio.to_thread(running.span, SPAN_SECONDS)


async def paints(address: str) -> Mapping[str, Sequence[Load]]:
    """Load the overview as on a desk and on a phone, and the form that asks for the token, in turn."""
    found: dict[str, list[Load]] = {name: [] for name in (*VIEWPORTS, "desk without it")}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        await load(browser, f"{address}/login")  # the browser itself has started
        for _ in range(LOADS):
            for name, size in VIEWPORTS.items():
                found[name].append(await load(browser, f"{address}/", size))
            found["desk without it"].append(await load(browser, f"{address}/login"))
        await browser.close()
    return found


# how soon it is shown --------------------------------------------------------------------------------------------------------


async def shown(
    address: str, change: Callable[[], Awaitable[None]], is_shown: Callable[[Mapping[str, str]], bool]
) -> tuple[float, int]:
    """Return how many seconds after the change an open overview shows it, and how many lines of trouble it has then."""
    async with aiohttp.ClientSession(address) as session, asyncio.timeout(300):
        pages = regions_of(session)
        await anext(pages)
        await change()
        begun = time.monotonic()
        async for page in pages:
            if is_shown(page):
                return time.monotonic() - begun, page["problems"].count('class="row cause"')
    raise RuntimeError("the page has ended")


async def regions_of(session: aiohttp.ClientSession) -> AsyncIterator[Mapping[str, str]]:
    """Yield the regions of the overview whenever some of them have changed."""
    known: dict[str, str] = {}
    async with session.get("/live", params={"at": "/"}, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                known |= json.loads(line.removeprefix(b"data: "))
                yield known


def is_lost(page: Mapping[str, str]) -> bool:
    return f"{LOST} children" in page["problems"]


def is_well(page: Mapping[str, str]) -> bool:
    return not page["problems"].strip() and f"{CHILDREN} of {CHILDREN} fine" in page["summary"].replace("\u202f", "")


# the hosts -------------------------------------------------------------------------------------------------------------------


@contextmanager
def hosts() -> Iterator[tuple[Callable[[bool], Awaitable[None]], Sequence[int]]]:
    """Serve the units in a process of their own, and give what loses and restores the first host, and the ports."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_work, args=(serve_hosts, theirs), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies is noticed

    async def switch(is_on: bool) -> None:
        ours.send(is_on)
        ours.recv()

    try:
        yield switch, ours.recv()
    finally:
        process.terminate()
        process.join()


async def serve_hosts(told: Connection) -> None:
    """Serve units whose registers move; close the first host when told so, and open it again."""
    units = [[SimulatedUnit(unit, registers=registers(unit)) for unit in range(1, count + 1)] for count in UNITS]
    first, *others = [ModbusTcpHost(of_host) for of_host in units]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for host in others:
            await stack.enter_async_context(host)
        await first.__aenter__()
        told.send([host.port for host in (first, *others)])
        group.create_task(move(units))
        while True:
            is_on: bool = await asyncio.to_thread(told.recv)
            await (first.__aenter__() if is_on else first.__aexit__(None, None, None))
            told.send(is_on)


async def move(units: Sequence[Sequence[SimulatedUnit]]) -> None:
    """Change the registers as often as they are read."""
    step = 0
    while True:
        await asyncio.sleep(POLL_SECONDS)
        step += 1
        for unit in chain.from_iterable(units):
            unit.write(Table.HOLDING_REGISTERS, 0, list(registers(unit.unit_id, step)[Table.HOLDING_REGISTERS].values()))
