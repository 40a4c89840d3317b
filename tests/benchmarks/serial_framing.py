"""How fast lines, binary frames and telegrams are cut out of a stream, and what the whole path costs, beside a bare reader."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import Awaitable, Callable, Iterator

import serial_asyncio
from comparison import Comparison

from adapters.serial import SerialAdapter
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.frames import Framer
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Reading

TOTAL_BYTES = 2_000_000
CHUNK_BYTES = 1024
SENTENCE = b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B\r\n"
MDC = bytes.fromhex("aaff0103411101 56".replace(" ", ""))


def compare() -> Iterator[Comparison]:
    """Feed the framer alone, then send the same bytes through a pseudo-terminal to a bare reader and to the whole adapter."""
    yield _framer_alone("nmea-0183", SENTENCE)
    yield _framer_alone("samsung-mdc", MDC)
    yield _whole_path()


def _framer_alone(profile: str, frame: bytes) -> Comparison:
    stream = frame * (TOTAL_BYTES // len(frame))
    chunks = [stream[at : at + CHUNK_BYTES] for at in range(0, len(stream), CHUNK_BYTES)]
    framer: Framer = framer_for(PROFILE_FILES.load()[profile].framing)
    begun = time.process_time()
    found = sum(len(framer.feed(chunk)) for chunk in chunks)
    ours = len(stream) / (time.process_time() - begun)
    begun = time.process_time()
    for chunk in chunks:
        for at in range(0, len(chunk), len(frame)):
            chunk[at : at + len(frame)]
    bare = len(stream) / (time.process_time() - begun)
    if found != len(stream) // len(frame):
        raise RuntimeError(f"{found} frames of {len(stream) // len(frame)} were found")
    return Comparison(
        what=f"framing of {profile}, checksums verified: {found:,} of {found:,} frames",
        unit="MB/s",
        figure=ours / 1e6,
        baseline=bare / 1e6,
        baseline_is="slicing at places that are known, nothing verified",
        more_is_better=True,
    )


def _whole_path() -> Comparison:
    bare = asyncio.run(_measured(_bare_reader))
    ours = asyncio.run(_measured(_whole_adapter))
    return Comparison(
        what="CPU time for each NMEA sentence, from the port to readings at the uplink",
        unit="µs",
        figure=1e6 * ours,
        baseline=1e6 * bare,
        baseline_is="bare pyserial-asyncio StreamReader.readline, which understands nothing",
        more_is_better=False,
    )


SENTENCES = 20_000


async def _measured(read: Callable[[str, asyncio.Event], Awaitable[int]]) -> float:
    """Send sentences into a pseudo-terminal from a thread, and return the CPU seconds that each took in this process's reader."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    path, ready = os.ttyname(theirs), asyncio.Event()
    os.close(theirs)  # a port that somebody has open is not touched
    reading = asyncio.create_task(read(path, ready))
    await asyncio.wait({reading, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    begun = time.process_time()
    sending = asyncio.to_thread(_send, ours)
    sent_cpu, count = await sending, await reading
    spent = time.process_time() - begun - sent_cpu
    os.close(ours)
    return spent / count


def _send(ours: int) -> float:
    begun = time.thread_time()
    chunk = SENTENCE * 20
    for _ in range(SENTENCES // 20):
        view = memoryview(chunk)
        while view:
            view = view[os.write(ours, view) :]
    return time.thread_time() - begun


async def _bare_reader(path: str, ready: asyncio.Event) -> int:
    reader, writer = await serial_asyncio.open_serial_connection(url=path, baudrate=115200)
    ready.set()
    for _ in range(SENTENCES):
        await reader.readline()
    writer.transport.abort()
    return SENTENCES


async def _whole_adapter(path: str, ready: asyncio.Event) -> int:
    rule = {"port": path, "line": "115200 8N1"}
    settings = {"type": "serial", "ports": [rule], "devices": [{"profile": "nmea-0183"}]}
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
    adapter.memory[f"speaks on {adapter.bus} as nmea-0183"] = "gps"
    done, heard = asyncio.Event(), 0

    class Counting:
        def found(self, found: object) -> None: ...

        def heard(self, readings: list[Reading]) -> None:
            nonlocal heard
            heard += 1
            if heard == SENTENCES - 1:  # what is heard first may be the rest of a sentence
                done.set()

    async with adapter:
        listening = asyncio.create_task(adapter.listen(Counting()))
        await asyncio.sleep(0.1)
        ready.set()
        await done.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return SENTENCES
