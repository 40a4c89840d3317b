"""The image, built once for each module by an engine of its own, and what a container of it needs around it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

_spec = importlib.util.spec_from_file_location("engine", Path(__file__).with_name("engine.py"))
engines = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(engines)

ROOT = Path(__file__).parents[2]
IMAGE = "xyte-gateway"
HUB = 9080
"""The emulator's entry port; its hub is at the next one."""


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine that has the image, on a network of its own."""
    folder = tmp_path_factory.mktemp("engine")
    with ExitStack() as stack:
        try:
            running = engines.Engine(folder)
            stack.callback(running.clear)
            running.start(sees_the_machine=True)
            _make_base(running)
        except engines.EngineMissing as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(missing))
        _build(running)
        running.stop()
        running.start(sees_the_machine=False)
        yield running


def _make_base(engine):
    """Make what stands in for the base image, of Debian's packages."""
    folder = engine.folder / "base"
    folder.mkdir()
    packages = "ca-certificates,python3,python3-venv"
    command = ["mmdebstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(folder / "debian.tar")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise engines.EngineMissing(f"there is no base to build on: {made.stderr[-500:]}")
    engine.docker("import", "--change", "CMD python3", str(folder / "debian.tar"), "debian")
    # What this machine trusts, the base trusts: a proxy between here and the package index may have an authority of its own.
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder)
    (folder / "Dockerfile").write_text("FROM debian\nCOPY ca-certificates.crt /etc/ssl/certs/\n")
    engine.docker("build", "--tag", engines.BASE, str(folder))


def _build(engine):
    """Make the image as a user does, but on the base that can be had here."""
    engine.docker(
        *("build", "--network", "host", "--build-arg", f"BASE={engines.BASE}", "--build-arg", "VERSION=1.2.3"),
        *("--file", "deploy/Dockerfile", "--tag", IMAGE, str(ROOT)),
        timeout=400,
    )


@pytest.fixture
def until():
    """`until(claim)` looks until the claim is true, and returns how long that took."""

    def wait(claim, seconds=60.0):
        began = time.monotonic()
        while not claim():
            assert time.monotonic() - began < seconds, f"not within {seconds} s"
            time.sleep(0.25)  # each look is a process
        return time.monotonic() - began

    return wait


@pytest.fixture
def emulator(engine, tmp_path, until):
    """`with emulator(): ...` runs `xyte-gateway emulator`, which every time knows what it knew before."""

    entry_url, control = f"http://{engines.BRIDGE}:{HUB}", f"http://{engines.BRIDGE}:{HUB + 1}/_emulator"
    asked = ["--host", engines.BRIDGE, "--entry-port", str(HUB), "--hub-port", str(HUB + 1)]
    asked += ["--store", str(tmp_path / "emulator.sqlite3")]

    def ask(path):
        return json.loads(engine.get(f"{control}/{path}")[1])

    @contextmanager
    def start():
        command = [*engine.entrance, Path(sys.executable).with_name("xyte-gateway"), "emulator", *asked]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                until(lambda: engine.get(f"{control}/calls")[0] == 200)
                yield SimpleNamespace(entry_url=entry_url, ask=ask)
            finally:
                process.terminate()

    return start


@pytest.fixture
def surroundings(engine, tmp_path):
    """Where the devices are that a container can reach."""
    if shutil.which("dbus-daemon") is None and os.environ.get("CI") != "true":
        pytest.skip("dbus-daemon is missing: apt-get install dbus-daemon")
    command = [*engine.entrance, sys.executable, Path(__file__).with_name("surroundings.py"), engines.BRIDGE, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield SimpleNamespace(**json.loads(process.stdout.readline()))
