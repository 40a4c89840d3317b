"""Run the adapters on parts that this machine lacks, a Linux Bluetooth kernel with bluetoothd and real tty drivers, in a guest.

What runs there is in `guest/`. These tests skip where the guest cannot run, and fail there when `CI=true`.
"""

import importlib.util
import os
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("virtual_machine", Path(__file__).with_name("virtual_machine.py"))
machines = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(machines)

SECONDS = 1800
"""The longest time that one guest may take, on a busy machine; on a quiet one it takes one to two minutes."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of Debian's packages."""
    folder = tmp_path_factory.mktemp("packages")
    try:
        return machines.unpack_packages(folder)
    except machines.PartsMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(
    ("tests", "modules"),
    [("bluetooth", machines.BLUETOOTH_MODULES), ("ttys", machines.TTY_MODULES)],
    ids=["bluetooth", "ttys"],
)
def test_the_adapters_pass_their_tests_on_a_real_kernel(files, tmp_path, tests, modules):
    command = machines.python_command(
        f"-m pytest -p no:cacheprovider -q -x -rA --tb=short tests/real_parts/guest/test_{tests}.py",
        REAL_PARTS_GUEST="1",
        CI="true",
        BLUETOOTHD=f"{files}/usr/libexec/bluetooth/bluetoothd",
    )
    status, printed = machines.run_in_guest(files, tmp_path, command, modules=modules, seconds=SECONDS)
    assert status == 0, printed[-20_000:]
    assert " passed" in printed
    assert " skipped" not in printed, printed[-20_000:]
