"""Gateways that are disturbed in every way, each in a process of its own: what `disturbed_site.py` starts.

Each line on standard input is a JSON object of options; a gateway is forked, its process id printed, and its end awaited and
printed as the exit code (the negative signal for one that was killed). Forking spares each the second that the imports take.

Every sample of a device has another number, so that whoever receives them can tell which are missing. The devices outlive the
gateway, as real ones do: what they were told is in the file `executed`.
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from pydantic import SecretStr

from gateway.adapter import Metric, Reading
from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings, StatusSection, StoreSection
from gateway.errors import GatewayError
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.runtime.process import run_process, stop_on_signals
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice
from gateway.testing.hostile_adapter import BAD_ADDRESS, hostile_adapter

MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
RUN_NUMBERS = 1_000_000
"""How many numbers each run has for its samples."""

readings_made = [0]
"""How many readings the devices have given in this process."""


@dataclass
class Options:
    """What one gateway is started with."""

    entry_url: str
    folder: str
    run: int = 0
    children: int = 20
    poll_seconds: float = 0.05
    points: int = 1
    telemetry_seconds: float = 0.2
    page: bool = False
    hostile: list[str] = field(default_factory=list)
    """Kinds of `hostile_adapter`, each on a bus of its own beside the healthy one."""
    seconds_ahead: float = 0.0
    """How far the clock is wrong from the start on; SIGUSR1 takes it back, and SIGUSR2 makes it wrong."""
    ca_file: str | None = None
    obeys_modes: bool = False
    """Modes of files hold for root, too: a folder that nobody may write is a disk that is read-only."""
    most_samples: int = 200_000
    timeout_seconds: float = 3.0


def numbered(bus: SyntheticBus, options: Options) -> type[SyntheticAdapter]:
    """Return an adapter whose readings count up, for each device from another number in each run."""
    numbers = {address: count(options.run * RUN_NUMBERS) for address in bus.devices}
    executed = Path(options.folder) / "executed"
    names = [f"point_{place}" for place in range(1, options.points)]

    class Numbered(SyntheticAdapter.on(bus)):
        async def read(self, child, due):
            self._answering(child.address)
            at = datetime.now(UTC)
            number = next(numbers[child.address])
            readings_made[0] += 1 + len(names)
            yield [Reading(child.key, Metric(name), number, at) for name in ("number", *names)]

        async def execute(self, child, command):
            with executed.open("a", encoding="ascii") as file:
                file.write(f"{child.serial_number} {command.parameters.get('power')}\n")
            return await super().execute(child, command)

        async def read_back(self, child, command):
            return None

    return Numbered


def configuration(options: Options, adapters: dict[str, type[SyntheticAdapter]]) -> Configuration:
    settings = Settings(
        gateway=GatewaySection(mac="02:00:5e:10:00:01", name="Chaos"),
        cloud=CloudSection(
            registrations_per_minute=10_000,
            entry_url=options.entry_url, hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), allow_plain_http=True,
            commands_every=timedelta(seconds=0.5), ca_file=options.ca_file,
            timeout_seconds=options.timeout_seconds,
        ).model_copy(update={"telemetry_every": timedelta(seconds=options.telemetry_seconds)}),
        store=StoreSection(path=Path(options.folder) / "gateway.sqlite3", most_samples=options.most_samples),
        status=StatusSection(enabled=options.page, port=0),
        models={"meter": MODEL},
    )  # fmt: skip
    entries = [entry_from({"type": name, "name": name, "discover_every": 5}, adapters) for name in adapters]
    return Configuration(None, settings, tuple(entries))


class Clock(datetime):
    """The clock of this machine, wrong by what the options say."""

    seconds_ahead = 0.0

    @classmethod
    def now(cls, tz=None):
        return _DATETIME.now(tz) + timedelta(seconds=cls.seconds_ahead)


_DATETIME = datetime
_TIME = time.time


def set_clock(seconds_ahead: float) -> None:
    """Let every module of the gateway read a clock that is wrong by so much."""
    Clock.seconds_ahead = seconds_ahead


def replace_clock() -> None:
    """Put the wrong clock below everything that reads the time."""

    class AnyDatetime(type):
        def __instancecheck__(cls, instance):
            return isinstance(instance, _DATETIME)

    wrong = AnyDatetime("datetime", (Clock,), {})
    for name, module in list(sys.modules.items()):
        if name.startswith(("gateway.", "adapters.")) and getattr(module, "datetime", None) is _DATETIME:
            module.datetime = wrong
    globals()["datetime"] = wrong
    time.time = lambda: _TIME() + Clock.seconds_ahead


async def figures(folder: Path) -> None:
    """Write how many tasks there are, and how much was read, each second, always into the same bytes: also on a full disk."""
    file = os.open(folder / "figures", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.pwrite(file, f"{len(asyncio.all_tasks())} {readings_made[0]}\n".ljust(64).encode(), 0)
            await asyncio.sleep(1)
    finally:
        os.close(file)


async def main(options: Options) -> None:
    loop = asyncio.get_running_loop()
    if options.seconds_ahead:
        replace_clock()
        set_clock(options.seconds_ahead)
        loop.add_signal_handler(signal.SIGUSR1, set_clock, 0.0)
        loop.add_signal_handler(signal.SIGUSR2, set_clock, options.seconds_ahead)
    poll = timedelta(seconds=options.poll_seconds)
    bus = SyntheticBus([SyntheticDevice(f"{n:04}", f"{n:04}", poll_every=poll) for n in range(options.children)], label="healthy")
    adapters = {"numbered": numbered(bus, options)}
    for place, kind in enumerate(options.hostile):
        bad = [SyntheticDevice(f"h{place}{address}", address) for address in ("good", BAD_ADDRESS)]
        adapters[f"hostile{place}"] = hostile_adapter(kind, SyntheticBus(bad, label=f"hostile bus {place}"))
    timing = Timing(registration_settles_in=timedelta(seconds=0.2), hub_backoff_first=timedelta(seconds=0.1))
    watching = asyncio.create_task(figures(Path(options.folder)))
    try:
        async with build(configuration(options, adapters), adapters, timing=timing) as gateway:
            await gateway.run(stop_on_signals())
    finally:
        watching.cancel()


def obey_modes() -> None:
    """Give up the right of root to write files whatever their mode says (capabilities(7), CAP_DAC_OVERRIDE)."""
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.capget(header, sets)
    sets[0] &= ~(1 << 1)
    libc.capset(header, sets)


def child(options: Options) -> int:
    """Run one gateway to its end and return its exit code."""
    log = os.open(f"{options.folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a limit of the length of files stands for a full disk: an error, no signal
    if options.obeys_modes:
        obey_modes()
    try:
        run_process(main(options), exit_code=lambda error: 0 if error is None else 4)
    except GatewayError as error:
        logging.error("the gateway ends: %s", error)  # noqa: LOG015, TRY400 - this script's own last line
        return 3
    except BaseException:
        logging.exception("the gateway crashed")  # noqa: LOG015 - as above
        return 4
    return 0


if __name__ == "__main__":
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(child(Options(**json.loads(line))))
        print(pid, flush=True)  # noqa: T201 - a script
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - a script
