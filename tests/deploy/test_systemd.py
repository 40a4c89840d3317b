"""The unit and the udev rules, read by systemd's own tools where these can read them; no systemd has to run."""

import json
import os
import re
import shutil
import stat
import subprocess
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from gateway.config.settings import StoreSection
from gateway.runtime.process import STOP_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "xyte-gateway.service"
RULES = DEPLOY / "70-xyte-gateway.rules"

WORST_EXPOSURE = 1.5
"""A process that can reach nothing has 0, one that may do everything 10."""

LEFT_OPEN = {
    "RestrictAddressFamilies_AF_INET_INET6", "PrivateNetwork", "IPAddressDeny",  # the cloud, Modbus TCP, the page
    "RestrictAddressFamilies_AF_UNIX",  # D-Bus
    "PrivateDevices", "DeviceAllow", "SupplementaryGroups", "PrivateUsers",  # serial ports, by the machine's group for them
    "ProcSubset",  # /proc/loadavg
    "RootDirectoryOrRootImage",  # the program lies on the machine itself
}  # fmt: skip


def systemd_analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is missing: apt-get install systemd")
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    return run("systemd-analyze", *arguments)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def said():
    """What the unit says: every value of every key, in order."""
    values = defaultdict(list)
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            values[key].append(value)
    return values


def test_systemd_has_nothing_to_complain_of_in_the_unit(tmp_path):
    program = tmp_path / "xyte-gateway"
    program.touch(mode=stat.S_IRWXU)
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/xyte-gateway/bin/xyte-gateway", str(program)), "utf-8")
    verdict = systemd_analyze("verify", "--man=no", str(installed))
    complaints = [line for line in verdict.stderr.splitlines() if UNIT.name in line]  # the machine's own units may be worse
    assert (verdict.returncode, complaints) == (0, [])


def test_the_sandbox_leaves_nothing_open_that_the_gateway_does_not_need():
    verdict = systemd_analyze("security", "--offline=true", "--json=short", f"--threshold={WORST_EXPOSURE * 10:.0f}", str(UNIT))
    assert verdict.returncode == 0, f"{verdict.stderr} worse than {WORST_EXPOSURE}"
    found_open = {one["json_field"] for one in json.loads(verdict.stdout) if one["exposure"] is not None}
    assert found_open <= LEFT_OPEN


def test_a_stop_is_waited_for_and_the_store_lies_where_the_gateway_may_write(said):
    assert STOP_SECONDS < int(said["TimeoutStopSec"][0]) < 90
    assert str(StoreSection().path.parent) == f"/var/lib/{said['StateDirectory'][0]}"


def test_the_kinds_of_ports_that_are_plugged_in_have_their_drivers_loaded_before_they_are_allowed(said):
    drivers = {"char-ttyUSB rw": "modprobe@usbserial.service", "char-ttyACM rw": "modprobe@cdc_acm.service"}
    assert drivers.keys() <= set(said["DeviceAllow"])
    for key in ("Wants", "After"):
        assert set(drivers.values()) <= {unit for units in said[key] for unit in units.split()}


# --- udev rules -------------------------------------------------------------------------------------------------------

TERM = re.compile(r'(?P<key>[A-Z]+)(?:\{(?P<of>[^}]+)\})?(?P<operator>==|!=|\+=|=)"(?P<value>[^"]*)"')
MATCHES = ("ACTION", "SUBSYSTEM", "SUBSYSTEMS", "KERNEL", "DRIVER", "DRIVERS", "ATTR", "ATTRS", "ENV", "TEST")
SETS = ("ATTR", "ENV", "GOTO", "LABEL", "SYMLINK")


def rules():
    """Yield each rule as its terms, those in comments too: they are examples that somebody will use."""
    for line in RULES.read_text(encoding="utf-8").splitlines():
        rule = line.removeprefix("# ") if line.startswith('# SUBSYSTEM=="') else line
        if rule and not rule.startswith("#"):
            terms = [TERM.fullmatch(term) for term in rule.split(", ")]
            assert all(terms), f"not a rule: {rule}"
            yield [term.groups() for term in terms]


def set_by_rules(device):
    """Return what the rules set on a device that is plugged in; its facts are named as the rules name them."""
    facts = {"ACTION": "add", "TEST{}": "power/control", **device}
    news = {}
    for rule in rules():
        wanted = [(f"{key}{{{of}}}" if of else key, value) for key, of, operator, value in rule if operator == "=="]
        if all(
            any(fnmatchcase(facts.get(name, ""), one) for one in value.split("|")) for name, value in wanted if name != "TEST"
        ):
            news |= {of: value for key, of, operator, value in rule if operator == "=" and of}
    return news


def test_each_rule_is_one_that_udev_takes():
    for rule in rules():
        assert all(key in (MATCHES if operator in ("==", "!=") else SETS) for key, _, operator, _ in rule)
        assert any(operator in ("=", "+=") for _, _, operator, _ in rule), "it matches, and then does nothing"
    labels = {key: [value for rule in rules() for one, _, _, value in rule if one == key] for key in ("GOTO", "LABEL")}
    assert labels["GOTO"] == labels["LABEL"]


USB_TTY = {"SUBSYSTEM": "tty", "SUBSYSTEMS": "usb-serial"}
ACM = {"SUBSYSTEM": "tty", "KERNEL": "ttyACM0", "DRIVERS": "cdc_acm"}
USB = {"SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device"}


@pytest.mark.parametrize(
    ("device", "news"),
    [
        ({**USB_TTY, "KERNEL": "ttyUSB0", "DRIVERS": "ftdi_sio", "ATTRS{idVendor}": "0403"}, {"ID_MM_PORT_IGNORE": "1"}),
        ({**USB_TTY, "KERNEL": "ttyUSB0", "DRIVERS": "ch341-uart", "ATTRS{idVendor}": "1a86"}, {"ID_MM_PORT_IGNORE": "1"}),
        ({**USB_TTY, "KERNEL": "ttyUSB2", "DRIVERS": "option", "ATTRS{idVendor}": "2c7c"}, {}),  # a modem of Quectel
        ({**ACM, "ATTRS{idVendor}": "1a86"}, {"ID_MM_PORT_IGNORE": "1"}),
        ({**ACM, "ATTRS{idVendor}": "1546"}, {}),  # a modem of u-blox
        ({"SUBSYSTEM": "tty", "KERNEL": "ttyS0"}, {}),
        ({"SUBSYSTEM": "usb-serial", "DRIVER": "ftdi_sio"}, {"latency_timer": "1"}),
        ({"SUBSYSTEM": "usb-serial", "DRIVER": "ftdi_sio", "ACTION": "bind"}, {"latency_timer": "1"}),
        ({"SUBSYSTEM": "usb-serial", "DRIVER": "cp210x"}, {}),
        ({**USB, "ATTR{idVendor}": "10c4"}, {"power/control": "on"}),
        ({**USB, "ATTR{idVendor}": "046d"}, {}),  # a mouse of Logitech
    ],
)  # fmt: skip
def test_adapters_are_kept_awake_quick_and_out_of_modem_managers_sight_and_modems_are_left_alone(device, news):
    assert set_by_rules(device) == news
