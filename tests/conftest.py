"""Share fixtures (a browser, a free port), protect files of an installed gateway, and order the tests: the longest files
first, or as the option `--shuffle SEED` draws.
"""

import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(  # neither the time of an example nor that of drawing it is a claim: machines are busy
    "no-time-limits", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("no-time-limits")

TESTS = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("xyte-gateway")
COMMAND_SECONDS = 200
"""The longest time that a command may take on a busy machine."""
CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
LONGEST_FIRST = (
    "deploy",
    "real_parts",
    "chaos",
    "end_to_end",
    "cli",
    "mutation",
    "status",
    "fuzz",
    "state",
    "emulator",
    "testing",
)
"""Folders whose files take longest: a worker that begins such a file last keeps the others waiting for it."""
GATEWAY_FOLDERS = ("/var/lib/xyte-gateway", "/etc/xyte-gateway")
"""Where a gateway that is installed on this machine keeps its store and its configuration."""
PATH_EVENTS = frozenset({"open", "sqlite3.connect", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename"})
read_outside = []


def note_path(event, arguments):
    if event in PATH_EVENTS and arguments and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.fsdecode(arguments[0]).removeprefix("file://")
        if path.startswith(GATEWAY_FOLDERS):
            read_outside.append(path)


sys.addaudithook(note_path)


@pytest.fixture(autouse=True)
def _no_file_of_an_installed_gateway():
    """Fail a test that opens a file of a gateway on this machine: it would depend on the machine, or damage the gateway."""
    read_outside.clear()
    yield
    assert read_outside == [], "a test opens files of the gateway that is installed on this machine"


def pytest_addoption(parser):
    # Twenty lines of ours, not pytest-randomly: that shuffles every run unless told otherwise, and reseeds every generator.
    parser.addoption(
        "--shuffle", metavar="SEED", help="run the files, and the tests of each file, in an order drawn with this seed"
    )


def pytest_collection_modifyitems(config, items):
    """Put the longest files first, or shuffle files and the tests of each; all workers of xdist come to the same order."""
    seed = config.getoption("--shuffle")
    if seed is None:
        items.sort(key=expected_length, reverse=True)
    else:
        draw = random.Random(seed)
        files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
        draw.shuffle(files)
        for tests in files:
            draw.shuffle(tests)
        items[:] = [item for tests in files for item in tests]


def expected_length(item):
    """Return a number that is greater the longer the file of a test takes."""
    folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return len(LONGEST_FIRST) - LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else 0


@pytest.fixture(scope="session")
def command_server(tmp_path_factory):
    """The socket at which `forked_commands.py` takes commands."""
    path = tmp_path_factory.mktemp("commands") / "socket"
    command = [sys.executable, TESTS / "forked_commands.py", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"listening\n"
        yield path
        process.stdin.close()


@pytest.fixture
def run_command(command_server):
    """`await run_command(*arguments, folder=..., environment=...)` returns exit code, output and errors of `xyte-gateway`.

    It runs in a forked process, unless the environment decides how Python itself starts.
    """

    def run(arguments, folder, environment):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(COMMAND_SECONDS)
            connection.connect(str(command_server))
            with Path(os.devnull).open("rb") as nothing, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
                asked = {"arguments": [str(COMMAND), *arguments], "folder": str(folder), "environment": environment}
                socket.send_fds(connection, [json.dumps(asked).encode()], [file.fileno() for file in (nothing, out, err)])
                code = int(connection.recv(100))
                return code, *(file.seek(0) or file.read().decode() for file in (out, err))

    async def start(arguments, folder, environment):
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        return process.returncode, out.decode(), err.decode()

    async def run_or_start(*arguments, folder, environment):
        arguments, environment = list(map(str, arguments)), os.environ | environment
        of_python = {name for name in environment if name.startswith(("PYTHON", "LANG", "LC_"))}
        if any(environment[name] != os.environ.get(name) for name in of_python):
            return await start(arguments, folder, environment)
        return await asyncio.to_thread(run, arguments, folder, environment)

    return run_or_start


@pytest.fixture(scope="session")
def chromium_server(tmp_path_factory):
    """The address of one Chromium for all tests of this worker; a missing one skips the test on a laptop, and fails it in CI."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip("there is no chromium here")
    from playwright._impl._driver import compute_driver_executable  # a second that only these tests have to pay

    settings = tmp_path_factory.mktemp("chromium") / "settings.json"
    settings.write_text(json.dumps({"executablePath": CHROMIUM, "args": QUIET, "headless": True}))
    command = [*compute_driver_executable(), "launch-server", "--browser", "chromium", "--config", settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="session")
def chromium_running(chromium_server):
    """`async with chromium_running() as browser`: its windows are this test's own, and closed at the end."""
    from playwright.async_api import async_playwright

    @asynccontextmanager
    async def running():
        async with async_playwright() as playwright:
            browser = await playwright.chromium.connect(chromium_server)
            yield browser
            await browser.close()

    return running


@pytest.fixture(scope="session")
def complaints_of():
    """`complaints_of(tab)` is what its console and its page complain of, from now on."""

    def listen(tab):
        complaints = []
        tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        return complaints

    return listen


@pytest.fixture
def port(unused_tcp_port):
    """A port of this machine that nobody listens on."""
    return unused_tcp_port
