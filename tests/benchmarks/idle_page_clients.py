"""What 2,000 idle and slow clients of the status page do to the uploads of a gateway that may have 1,024 open files.

Four processes: simulated Modbus hosts, the program `xyte-gateway run` with its limit, the clients, and this one with the emulated
cloud, which counts. Spans with the clients and without them take turns. Each client does one of these: nothing; a byte of a
header now and then; a body that does not end; requests whose responses it does not read. One that is closed comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import shlex
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import aiohttp
from comparison import Comparison
from simulated_host import serving
from status_page import serve_units

from gateway.emulator import Emulator

CLIENTS, DESCRIPTORS = 2000, 1024
SPAN_SECONDS = 30.0
ROUNDS = 2
CHILDREN = 200
MOST_LINES = 10
COMMAND = Path(sys.executable).with_name("xyte-gateway")
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
HEAD = b"Host: localhost\r\n"
REQUESTS = (
    b"",
    b"GET / HTTP/1.1\r\n" + HEAD + b"X: ",
    b"POST /login HTTP/1.1\r\n" + HEAD + b"Origin: http://localhost\r\nContent-Length: 9999\r\n\r\ntoken=",
    (b"GET /static/none HTTP/1.1\r\n" + HEAD + b"\r\n") * 200,
)
DRIPS = (b"", b"x", b"x", b"")


@dataclass(slots=True)
class Span:
    """What reached the cloud, and how the page answered an operator."""

    seconds: float = 0.0
    samples: int = 0
    looks: int = 0
    looks_that_failed: int = 0
    slowest_look: float = 0.0

    def __add__(self, other: Span) -> Span:
        return Span(
            self.seconds + other.seconds,
            self.samples + other.samples,
            self.looks + other.looks,
            self.looks_that_failed + other.looks_that_failed,
            max(self.slowest_look, other.slowest_look),
        )


def compare() -> Iterator[Comparison]:
    """Count the samples that arrive with the clients and without them."""
    alone, crowded, lines = asyncio.run(measure(crowd))
    yield Comparison(
        what=f"samples that reach the cloud beside {CLIENTS:,} idle and slow clients of the page",
        unit="samples/s",
        figure=crowded.samples / crowded.seconds,
        baseline=alone.samples / alone.seconds,
        baseline_is="without them",
        goal="at least 95 %",
        holds=crowded.samples / crowded.seconds >= 0.95 * alone.samples / alone.seconds,
    )
    yield Comparison(
        what=f"log lines about them in {crowded.seconds:.0f} s",
        unit="lines",
        figure=lines,
        baseline=0,
        baseline_is="none are needed",
        more_is_better=False,
        goal=f"at most {MOST_LINES}",
        holds=lines <= MOST_LINES,
    )
    yield Comparison(
        what=f"the page for an operator meanwhile: {crowded.looks_that_failed} of {crowded.looks} looks failed; the slowest",
        unit="s",
        figure=crowded.slowest_look,
        baseline=alone.slowest_look,
        baseline_is="without them",
        more_is_better=False,
        goal="none fails",
        holds=crowded.looks_that_failed == 0,
    )


async def measure(crowd: Callable[[int], AbstractContextManager[None]]) -> tuple[Span, Span, int]:
    alone, crowded, lines = Span(), Span(), 0
    with serving(serve_units) as ports:
        async with Emulator() as emulator, gateway(ports, emulator) as (port, log):
            for _ in range(ROUNDS):
                alone += await span(emulator, port)
                before = len(log)
                with crowd(port):
                    await asyncio.sleep(3)  # until all have connected
                    crowded += await span(emulator, port)
                lines += len(log) - before
    return alone, crowded, lines


async def span(emulator: Emulator, port: int) -> Span:
    """Count what arrives for a while, and look at the page each second."""
    loop = asyncio.get_running_loop()
    begun, before, measured = loop.time(), samples(emulator), Span()
    while (now := loop.time()) - begun < SPAN_SECONDS:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as browser,
                browser.get(f"http://127.0.0.1:{port}/") as answer,
            ):
                measured.looks_that_failed += answer.status != 200
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            measured.looks_that_failed += 1
        measured.looks += 1
        measured.slowest_look = max(measured.slowest_look, loop.time() - now)
        await asyncio.sleep(max(0.0, now + 1 - loop.time()))
    measured.seconds = loop.time() - begun
    measured.samples = samples(emulator) - before
    return measured


def samples(emulator: Emulator) -> int:
    return sum(len(emulator.journal.telemetry(device.id)) for device in emulator.cloud.devices.values())


@asynccontextmanager
async def gateway(ports: list[int], emulator: Emulator) -> AsyncIterator[tuple[int, list[str]]]:
    """Run the program until all children are in the cloud, and give its port and its growing log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), port, ports, emulator.entry_url)
        program = shlex.join([str(COMMAND), "run", "--config", f"{folder}/gateway.toml"])
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", f"ulimit -n {DESCRIPTORS}; exec {program}"), stderr=asyncio.subprocess.PIPE
        )
        log: list[str] = []
        reading = asyncio.create_task(read(process, log))
        try:
            async with asyncio.timeout(180):
                while len(emulator.cloud.devices) <= CHILDREN:  # noqa: ASYNC110 - the emulator sends no event
                    await asyncio.sleep(0.5)
            await asyncio.sleep(10)
            yield port, log
        finally:
            process.terminate()
            await process.wait()
            await reading


def write_files(folder: Path, port: int, ports: list[int], entry_url: str) -> None:
    """Write the configuration, and the profile of its devices."""
    points = "".join(f'[[points]]\nmetric = "m{register}"\naddress = {register}\ngroup = "fast"\n' for register in range(5))
    (folder / "profiles").mkdir()
    (folder / "profiles" / "load.toml").write_text(
        'name = "load"\nmaker = "Benchmark"\ntitle = "Load"\nfamily = "meter"\n'
        f'[source]\ndocument = "this"\nedition = "1"\nsection = "1"\n[groups]\nfast = 2\n{points}'
    )
    hosts = ", ".join(f'"127.0.0.1:{host}"' for host in ports)
    units = range(1, CHILDREN // len(ports) + 1)
    devices = ", ".join(f'{{ bus = "127.0.0.1:{host}", unit = {unit}, profile = "load" }}' for host in ports for unit in units)
    (folder / "gateway.toml").write_text(
        f"""
[gateway]
mac = "02:00:5e:10:00:01"
[cloud]
entry_url = "{entry_url}"
allow_plain_http = true
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
telemetry_every = 5
registrations_per_minute = 600
[store]
path = "{folder}/store.sqlite3"
[status]
port = {port}
[models]
"*" = "{MODEL}"
[[adapter]]
type = "modbus"
hosts = [{hosts}]
units = "1"
profiles = ["{folder}/profiles"]
devices = [{devices}]
"""
    )


async def read(process: asyncio.subprocess.Process, log: list[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        log.append(line.decode("utf-8", "replace").rstrip())


@contextmanager
def crowd(port: int) -> Iterator[None]:
    """Run the clients in a process of their own."""
    process = multiprocessing.get_context("spawn").Process(target=run_crowd, args=(port,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def run_crowd(port: int) -> None:
    asyncio.run(be_crowd(port))


async def be_crowd(port: int) -> None:
    kinds = cycle(zip(REQUESTS, DRIPS, strict=True))
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            address = f"127.0.0.{2 + number % 8}"
            group.create_task(be_client(port, address, *next(kinds)))


async def be_client(port: int, address: str, request: bytes, drip: bytes) -> None:
    """Be one client, again and again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), limit=1)
            try:
                writer.write(request)
                while not reader.at_eof() and not writer.is_closing():
                    await asyncio.sleep(1)
                    writer.write(drip)
                    if not drip and not request:
                        await reader.read(1)
            finally:
                writer.close()
        await asyncio.sleep(1)
