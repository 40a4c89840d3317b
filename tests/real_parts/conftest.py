"""Keep the tests of the guest from being collected on this machine, and give the others a guest that runs them.

A test with a guest skips where that cannot run, and fails there when `CI=true`.
"""

import importlib.util
import os
from pathlib import Path

import pytest

if not os.environ.get("REAL_PARTS_GUEST"):
    collect_ignore = ["guest"]


@pytest.fixture(scope="session")
def machines():
    """The module that boots the guest."""
    spec = importlib.util.spec_from_file_location("virtual_machine", Path(__file__).with_name("virtual_machine.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def files(machines, tmp_path_factory):
    """The files of Debian's packages."""
    folder = tmp_path_factory.mktemp("packages")
    try:
        return machines.unpack_packages(folder)
    except machines.PartsMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture
def run_in_guest(machines, files, tmp_path):
    """Run the tests of one file of `guest/` with these kernel modules, for so many seconds at most, and expect them to pass."""

    def run(tests, modules, seconds):
        command = machines.python_command(
            f"-m pytest -p no:cacheprovider -q -x -rA --tb=short tests/real_parts/guest/test_{tests}.py",
            REAL_PARTS_GUEST="1",
            CI="true",
            BLUETOOTHD=f"{files}/usr/libexec/bluetooth/bluetoothd",
        )
        status, printed = machines.run_in_guest(files, tmp_path, command, modules=modules, seconds=seconds)
        assert status == 0, printed[-20_000:]
        assert " passed" in printed
        assert " skipped" not in printed, printed[-20_000:]

    return run
