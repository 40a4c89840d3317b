"""What the status page weighs and costs with 1,000 children: bytes, first paint, CPU time of open pages, what polling feels.

Four processes: simulated Modbus hosts, the emulated cloud, the whole gateway between them, and this one, which looks at its
page: with Chromium for the paint, else with clients that do what an open page does. Spans with five pages open and with none
take turns.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from comparison import Comparison
from modbus_points import HARDWARE_KEY, cpu_seconds, run_work, serve_cloud
from playwright.async_api import async_playwright
from pydantic import SecretStr
from simulated_host import serving

from gateway.adapter import Reading
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.field.plugins import installed, usable
from gateway.runtime.builder import build
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

HOSTS, UNITS, POINTS = 8, 125, 20
"""So many hosts with so many units each, which have so many registers each."""
POLL_SECONDS = 5
SETTLE_SECONDS = 10.0
SPAN_SECONDS = 30.0
ROUNDS = 2
"""Spans of either kind; the sums are told."""
LOADS = 10
CHART_SECONDS = 15.0
"""A child's page asks for its chart so often."""

MOST_KILOBYTES, MOST_PAINT_MS, MOST_PERCENT = 300, 1000, 3
MOST_SLOWER = 1.05
"""The slowest rounds may take so much longer beside open pages: less than two runs differ by."""


@dataclass(slots=True)
class Span:
    """What the gateway did in some seconds, and what it took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    readings: int = 0
    late: int = 0
    """Rounds that came more than half an interval late."""
    intervals: tuple[float, ...] = ()
    """Between two rounds of the same child, in seconds."""

    def __add__(self, other: Span) -> Span:
        return Span(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.readings + other.readings,
            self.late + other.late,
            self.intervals + other.intervals,
        )

    @property
    def percent(self) -> float:
        """Of one core."""
        return 100 * self.cpu_seconds / self.seconds

    @property
    def slowest(self) -> float:
        """The 99th percentile of the intervals."""
        return statistics.quantiles(self.intervals, n=100)[98]


@dataclass(frozen=True, slots=True)
class Load:
    """How one page came to the screen."""

    painted_ms: float
    sent_bytes: int
    """Of the document and all that it needs, over the line."""
    plain_bytes: int
    document_bytes: int
    """The document alone, unpacked."""


def compare() -> Iterator[Comparison]:
    """Look at the page of a gateway with 1,000 children while it works."""
    with (
        serving(serve_units) as ports,
        serving(serve_cloud) as entry_url,
        gateway(dict.fromkeys(ports, UNITS), entry_url) as running,
    ):
        overview, login = asyncio.run(loads(running.address))
        alone, watched, heard = Span(), Span(), 0
        for _ in range(ROUNDS):
            alone += running.span(SPAN_SECONDS)
            span, told = asyncio.run(watch(running))
            watched, heard = watched + span, heard + told
    painted = statistics.median(load.painted_ms for load in overview)
    worst = max(load.painted_ms for load in overview)
    page = overview[-1]
    yield Comparison(
        what=f"overview of {HOSTS * UNITS:,} children as sent, with style and scripts, {page.document_bytes / 1000:.0f} kB HTML",
        unit="kB",
        figure=page.sent_bytes / 1000,
        baseline=page.plain_bytes / 1000,
        baseline_is="unpacked",
        more_is_better=False,
        goal=f"unpacked at most {MOST_KILOBYTES} kB",
        holds=page.plain_bytes <= 1000 * MOST_KILOBYTES,
    )
    yield Comparison(
        what=f"its first contentful paint, median of {LOADS}; {worst:.0f} ms the slowest",
        unit="ms",
        figure=painted,
        baseline=statistics.median(load.painted_ms for load in login),
        baseline_is="the page that asks for the token, which shows nothing of the gateway",
        more_is_better=False,
        goal=f"each under {MOST_PAINT_MS} ms",
        holds=worst < MOST_PAINT_MS,
    )
    cost = watched.percent - alone.percent
    yield Comparison(
        what="CPU of the gateway with five pages open (three overviews, a bus, a child):"
        f" {cost:.2f} % of a core more, {heard / watched.seconds / 5000:.1f} kB/s sent to each",
        unit="% of a core",
        figure=watched.percent,
        baseline=alone.percent,
        baseline_is="none open, the same polling",
        more_is_better=False,
        goal=f"at most {MOST_PERCENT} % of a core more",
        holds=cost <= MOST_PERCENT,
    )
    yield Comparison(
        what=f"99th percentile of the time between two rounds of a child, {watched.late} late beside {alone.late}",
        unit="s",
        figure=watched.slowest,
        baseline=alone.slowest,
        baseline_is="none open",
        more_is_better=False,
        goal=f"at most {MOST_SLOWER:g} baselines, none more late",
        holds=watched.slowest <= MOST_SLOWER * alone.slowest and watched.late <= alone.late,
    )
    yield Comparison(
        what="readings with five pages open",
        unit="readings/s",
        figure=watched.readings / watched.seconds,
        baseline=alone.readings / alone.seconds,
        baseline_is="none open",
    )


# the gateway -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway in a process of its own."""

    address: str
    child: str
    """A child's page, as a path."""
    bus: str
    """The page of the first bus."""
    pipe: Connection

    def span(self, seconds: float) -> Span:
        """Wait so long, and return what it did and took meanwhile."""
        self.pipe.send(seconds)
        span: Span = self.pipe.recv()
        return span


@contextmanager
def gateway(units: Mapping[int, int], entry_url: str) -> Iterator[Running]:
    """Run the gateway and give it once all its children are in the cloud.

    Args:
        units: the number of units of each host, by its port.
        entry_url: where the cloud is.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_work, args=(partial(whole_gateway, units, entry_url), theirs), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies is noticed
    try:
        yield Running(*ours.recv(), pipe=ours)
    finally:
        ours.send(0.0)
        process.join(timeout=15)


async def whole_gateway(units: Mapping[int, int], entry_url: str, told: Connection) -> None:
    """Work until told to wait for no time at all; tell of each span that is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = write_configuration(Path(folder), units, entry_url)
        stop = asyncio.Event()
        async with build(configuration, usable(installed())) as running, asyncio.TaskGroup() as group:
            take_in, last, intervals = running.field.sampler.take, dict[str, float](), list[float]()

            def note(readings: Sequence[Reading]) -> None:
                now, child = time.monotonic(), readings[0].child
                if child in last:
                    intervals.append(now - last[child])
                last[child] = now
                take_in(readings)

            running.field.sampler.take = note  # type: ignore[method-assign]  # sees each round, of which nothing else tells
            group.create_task(running.run(stop))
            children = running.state.registry.children
            while sum(record.device_id is not None for record in children.values()) < sum(units.values()):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE_SECONDS)
            shown = await running.view.snapshot()
            page = running.page
            assert page is not None
            told.send((page.server.address, f"/children/{shown.children[0].id}", f"/buses/{shown.buses[0].id}"))
            while (seconds := await asyncio.to_thread(told.recv)) > 0:
                intervals.clear()
                begun, cpu_begun, readings = time.monotonic(), cpu_seconds(), running.field.sampler.readings_taken
                await asyncio.sleep(seconds)
                spent, span = cpu_seconds() - cpu_begun, time.monotonic() - begun
                late = sum(interval > 1.5 * POLL_SECONDS for interval in intervals)
                told.send(Span(span, spent, running.field.sampler.readings_taken - readings, late, tuple(intervals)))
            stop.set()


def write_configuration(folder: Path, units: Mapping[int, int], entry_url: str) -> Configuration:
    points = "".join(f'[[points]]\nmetric = "point_{n}"\naddress = {n}\nscale = 0.1\ngroup = "normal"\n' for n in range(POINTS))
    profile = (
        'name = "meter"\nmaker = "Benchmark"\ntitle = "Meter"\nfamily = "power-meter"\nsub_model = "MP"\n'
        '[source]\ndocument = "this benchmark"\nedition = "1"\nsection = "1"\n'
        f'[groups]\nnormal = {POLL_SECONDS}\n[defaults]\ntype = "uint16"\n'
    )
    (folder / "meter.toml").write_text(profile + points, encoding="utf-8")
    entry = entry_from(
        {
            "type": "modbus",
            "hosts": [f"127.0.0.1:{port}" for port in units],
            "units": f"1-{min(units.values())}",
            "profiles": [str(folder)],
            "devices": [
                {"bus": f"127.0.0.1:{port}", "unit": unit, "profile": "meter", "name": f"Meter {unit} of house {house}"}
                for house, (port, count_of_units) in enumerate(units.items(), 1)
                for unit in range(1, count_of_units + 1)
            ],
        },
        usable(installed()),
    )
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01"),
        cloud=CloudSection(
            entry_url=entry_url, hardware_key=SecretStr(HARDWARE_KEY), allow_plain_http=True, registrations_per_minute=10_000
        ),
        store=StoreSection(path=folder / "gateway.sqlite3"),
        status=StatusSection(port=0),
        models={"*": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"},
    )
    return Configuration(None, settings, (entry,))


async def serve_units(told: Connection) -> None:
    """Serve units whose registers move, so that a page has something to show each time."""
    async with AsyncExitStack() as stack:
        hosts = [[SimulatedUnit(unit, registers=registers(unit)) for unit in range(1, UNITS + 1)] for _ in range(HOSTS)]
        told.send([(await stack.enter_async_context(ModbusTcpHost(units))).port for units in hosts])
        for step in count(1):
            await asyncio.sleep(POLL_SECONDS)
            for unit in chain.from_iterable(hosts):
                unit.write(Table.HOLDING_REGISTERS, 0, list(registers(unit.unit_id, step)[Table.HOLDING_REGISTERS].values()))


def registers(unit: int, step: int = 0) -> Mapping[Table, Mapping[int, int]]:
    return {Table.HOLDING_REGISTERS: {point: 2300 + (7 * step + 3 * point + unit) % 100 for point in range(POINTS)}}


# who looks at it -------------------------------------------------------------------------------------------------------------


async def watch(running: Running) -> tuple[Span, int]:
    """Keep five pages open for a span; also return how many bytes of news they were sent together."""
    heard = Counter[str]()
    async with AsyncExitStack() as stack:
        for path in ("/", "/", "/", running.bus, running.child):
            await stack.enter_async_context(open_page(running.address, path, heard))
        span = await asyncio.to_thread(running.span, SPAN_SECONDS)
    if not all(heard[path] for path in ("/", running.bus, running.child)):
        raise RuntimeError("an open page was told nothing")
    return span, heard.total()


@asynccontextmanager
async def open_page(address: str, path: str, heard: Counter[str]) -> AsyncIterator[None]:
    """Do what a browser does that has this page open: take its events and, for a child, ask for the chart."""
    async with aiohttp.ClientSession(address) as session:
        async with session.get(path) as answer:
            seen = re.search('data-version="(\\w+)"', await answer.text())
        if seen is None:
            raise RuntimeError(f"{path} is no live page")
        work = [asyncio.create_task(take_events(session, path, seen[1], heard))]
        if path.startswith("/children/"):
            work.append(asyncio.create_task(draw(session, f"/api/v1{path}/history?metric=point_0")))
        try:
            yield
            for task in work:
                if task.done():
                    task.result()
                    raise RuntimeError(f"{path} ended")
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def take_events(session: aiohttp.ClientSession, path: str, seen: str, heard: Counter[str]) -> None:
    """Count what is sent after this version of the page, which the browser has."""
    asked = {"at": path, "seen": seen}
    async with session.get("/live", params=asked, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        answer.raise_for_status()
        async for part in answer.content.iter_any():
            heard[path] += len(part)


async def draw(session: aiohttp.ClientSession, address: str) -> None:
    while True:
        async with session.get(address) as answer:
            answer.raise_for_status()
            await answer.read()
        await asyncio.sleep(CHART_SECONDS)


async def loads(address: str) -> tuple[Sequence[Load], Sequence[Load]]:
    """Load the overview and the form that asks for the token in turn, each time as if for the first."""
    overview, login = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        await load(browser, f"{address}/login")  # the browser itself has started
        for _ in range(LOADS):
            overview.append(await load(browser, f"{address}/"))
            login.append(await load(browser, f"{address}/login"))
        await browser.close()
    return overview, login


MEASURED = """() => {
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  const [page] = performance.getEntriesByType("navigation");
  const files = performance.getEntriesByType("resource").filter((one) => one.name.includes("/static/"));
  const sum = (name) => [page, ...files].reduce((total, one) => total + one[name], 0);
  if (!painted || !page.loadEventEnd) return null;
  return {
    painted_ms: painted.startTime, document_bytes: page.decodedBodySize,
    sent_bytes: sum("transferSize"), plain_bytes: sum("decodedBodySize"),
  };
}"""


async def load(browser: Any, address: str, size: tuple[int, int] = (1280, 800)) -> Load:
    """Load a page as if for the first time, in a window of this size."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    tab = await context.new_page()
    await tab.goto(address)
    measured = await (await tab.wait_for_function(MEASURED)).json_value()
    await context.close()
    return Load(**measured)
