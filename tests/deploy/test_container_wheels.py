"""Which pins have a wheel for the machines that the image is made for, and which are compiled while it is made."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "arm/v7": "armv7l"}
"""Docker's name for it -> what a wheel calls it."""

GLIBC_OF_BOOKWORM = 36
PURE = {"pyric"}
"""Has never had a wheel, and nothing to compile either."""
COMPILED = {"amd64": set(), "arm64": set(), "arm/v7": {"cffi", "dbus-fast", "pycryptodome", "pycryptodomex"}}
"""What the compiler in the build stage is for. Where this changes, change the Dockerfile's compiler with it."""


@pytest.fixture(scope="module")
def python(root):
    """The version of Python in the image."""
    return re.search(r"^ARG BASE=python:(3\.\d+)-slim-bookworm$", (root / "deploy" / "Dockerfile").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def pins(root, python):
    """What the package index has of each pin, as uv sees it."""
    command = [Path(sys.executable).with_name("uv"), "pip", "compile", "requirements.lock", "--no-deps", "--universal", "--quiet"]
    command += ["--python-version", python, "--format", "pylock.toml", "--no-header"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if said.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"the package index cannot be asked: {said.stderr.strip()[-200:]}")
    assert said.returncode == 0, said.stderr
    return tomllib.loads(said.stdout)["packages"]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_pin_has_a_wheel_but_those_that_the_image_compiles(machine, python, pins):
    fitting = tags_of(MACHINES[machine], python)
    without = {pin["name"] for pin in pins if is_for_linux(pin) and fitting.isdisjoint(tags_offered(pin))}
    assert without == PURE | COMPILED[machine]


def test_only_arm_v7_gets_a_compiler(root):
    said = (root / "deploy" / "Dockerfile").read_text()
    (condition,) = re.findall(r"if \[ (.*) \]; then \\\n +apt-get install [a-z -]+ gcc ", said)
    assert condition == '"$(dpkg --print-architecture)" = armhf'
    assert [machine for machine in MACHINES if COMPILED[machine]] == ["arm/v7"]


def tags_of(machine, python):
    """What a wheel may be for, so that it runs there."""
    version = tuple(map(int, python.split(".")))
    platforms = [*(f"manylinux_2_{minor}_{machine}" for minor in range(5, GLIBC_OF_BOOKWORM + 1)), f"manylinux2014_{machine}"]
    return {*cpython_tags(version, platforms=platforms), *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms)}


def tags_offered(pin):
    names = [wheel.get("name") or wheel["url"].rsplit("/", 1)[-1] for wheel in pin.get("wheels", ())]
    return {tag for name in names for tag in parse_wheel_filename(name)[3]}


def is_for_linux(pin):
    here = {"sys_platform": "linux", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    return "marker" not in pin or Marker(pin["marker"]).evaluate(here)
