"""The commands for putting devices into service, as a person types them: real sockets and ptys, text and JSON."""

import asyncio
import json
import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from gateway.testing.demo_devices import eastron_sdm630, tcp_units
from gateway.testing.modbus import (
    ModbusRtuBus,
    ModbusTcpHost,
    SimulatedUnit,
    SunSpecModel,
    Table,
    VirtualLine,
    on_a_pty,
    sunspec_registers,
)

pytestmark = pytest.mark.enable_socket

PROFILES = Path(__file__).parents[2] / "adapters" / "modbus" / "profiles"
KEY = "0f0e0d0c-1111-4222-8333-444455556666"


@pytest.fixture
async def unknown():
    """A host with a device that no profile fits."""
    registers = {Table.HOLDING_REGISTERS: {0: 5, 1: 2301, 2: 2298, 3: 2311, 4: 0}}
    async with ModbusTcpHost([SimulatedUnit(1, registers=registers)]) as host:
        yield host


def on(host):
    return "--with", f'hosts=["127.0.0.1:{host.port}"]', "--with", 'units="1"'


def without_hurry(host):
    """Return the same for a unit that is there, and that a busy machine lets answer late."""
    return *on(host), "--with", "timeout=20", "--with", "scan_timeout=20"


async def test_the_speed_of_a_line_is_found_and_told_as_a_line_of_the_config(type_in):
    async with ModbusRtuBus([SimulatedUnit(1)], baudrate=19200) as bus:
        asked = ("scan", "modbus", "--detect-line", "--with", f'lines=[{{port="{bus.port}"}}]', "--with", 'units="1"')
        code, out, _ = await type_in(*asked)
    assert code == 0
    assert f"{bus.port} is set to 19200 8N" in out
    assert f'lines = [{{ port = "{bus.port}", baudrate = 19200' in out


async def test_a_line_where_nobody_answers_says_what_to_check(type_in):
    async with ModbusRtuBus([], baudrate=19200) as bus:
        asked = ("scan", "modbus", "--detect-line", "--json", "--with", f'lines=[{{port="{bus.port}"}}]', "--with", 'units="1"')
        code, out, _ = await type_in(*asked)
    assert code == 1
    (line,) = json.loads(out)
    assert line["settings"] is None
    assert "A and B are not swapped" in line["problem"]


async def test_a_host_has_no_line_settings_to_find_out(type_in, unknown):
    code, _, err = await type_in("scan", "modbus", "--detect-line", *on(unknown))
    assert code == 1
    assert "there is no serial line here" in err


async def test_the_register_behind_a_displayed_value_is_found(type_in, unknown):
    code, out, _ = await type_in("find-register", "modbus", "1", "--value", "230.1", *on(unknown))
    assert code == 0
    assert out.splitlines()[1].startswith("holding 1, uint16, x 0.1")
    assert "scale = 0.1" in out
    code, out, _ = await type_in(
        "find-register", "modbus", "1", "--value", "230.1", "--range", "holding 0-3", "--json", *on(unknown)
    )
    assert code == 0
    assert json.loads(out)[0]["values"] == [230.1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--value", "hot"), "'hot' is not a number"),
        (("--value", "777.7", "--range", "holding 0-3"), "No register matches these values"),
        (("--value", "1", "--range", "attic"), "is not a range of registers"),
    ],
)
async def test_what_cannot_be_found_says_why_and_what_to_do(type_in, unknown, arguments, why):
    code, _, err = await type_in("find-register", "modbus", "1", *arguments, *on(unknown))
    assert code == 1
    assert why in err
    assert "Traceback" not in err


async def test_a_silent_device_has_no_registers_to_look_at(type_in, unknown):
    code, _, err = await type_in("find-register", "modbus", "2", "--value", "1", *on(unknown), "--with", "timeout=0.05")
    assert code == 1
    assert "unit 2 does not answer" in err


async def test_an_unknown_device_is_drafted_once_and_the_draft_is_a_profile(type_in, unknown, tmp_path):
    code, _, err = await type_in("scan", "modbus", "--drafts", "drafts", *on(unknown))
    assert code == 0
    (draft,) = (tmp_path / "drafts").iterdir()
    assert f"drafts/{draft.name} is a draft; complete it by hand" in err
    code, out, _ = await type_in("profile", "check", str(draft))
    assert code == 0
    assert "holding 0-3" in out
    before = draft.read_text()
    _, _, err = await type_in("scan", "modbus", "--drafts", "drafts", *on(unknown))
    assert "exists already and is not overwritten" in err
    assert draft.read_text() == before


async def test_a_profile_is_checked_and_read_once_on_a_device(type_in):
    async with ModbusTcpHost(tcp_units()) as host:
        file, host_there = str(PROFILES / "schneider-iem3000.toml"), f'hosts=["127.0.0.1:{host.port}"]'
        code, out, _ = await type_in("profile", "check", file, "modbus", "1", "--with", host_there)
        assert code == 0
        assert "of the time of the bus" in out
        assert "voltage_l1" in out
        code, out, _ = await type_in(
            "profile", "check", file, "modbus", "1", "--json", "--with", f'hosts=["127.0.0.1:{host.port}"]'
        )
    checked = json.loads(out)
    assert checked["name"] == "schneider-iem3000"
    assert checked["readings"]["voltage_l1"] == pytest.approx(230, abs=30)


async def test_a_profile_with_mistakes_names_file_and_place(type_in, tmp_path):
    broken = (PROFILES / "abb-b23.toml").read_text().replace("address =", "adress =", 1)
    (tmp_path / "abb-b23.toml").write_text(broken)
    code, _, err = await type_in("profile", "check", "abb-b23.toml")
    assert code == 2
    assert "abb-b23.toml" in err
    assert "adress" in err
    code, _, err = await type_in("profile", "check", "missing.toml")
    assert code == 2
    assert "missing.toml: cannot be read: there is no such file" in err


async def test_the_profiles_are_listed(type_in):
    code, out, _ = await type_in("profile", "list", "--json")
    assert code == 0
    ours = [one["name"] for one in json.loads(out) if one["adapter"] == "modbus"]
    assert sorted(ours) == sorted(file.stem for file in PROFILES.glob("*.toml"))


async def test_no_name_of_a_profile_is_broken_on_a_narrow_terminal(type_in):
    code, out, _ = await type_in("profile", "list", COLUMNS="80")
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {file.stem for file in PROFILES.glob("*.toml")} <= {word for line in lines for word in line.split()}
    assert any(line.split()[:1] == ["waveshare-relay-b"] and "config" in line for line in lines)
    assert re.search(r"\b1 command\b", text := " ".join(out.split()))
    assert not re.search(r"\b1 commands\b", text)


SUN = SimulatedUnit(
    1,
    registers=sunspec_registers(
        [SunSpecModel(103, 50, {14: 3650, 38: 4}), SunSpecModel(160, 48, {3: -1, 8: 2, 20: 7105, 40: 2300})]
    ),
)


async def test_a_sunspec_profile_is_read_once_where_the_device_has_its_models(type_in):
    async with ModbusTcpHost([SUN, SimulatedUnit(2, registers={Table.HOLDING_REGISTERS: {0: 1}})]) as host:
        file, there = str(PROFILES / "sunspec-inverter.toml"), on(host)
        code, out, _ = await type_in("profile", "check", file, "modbus", "1", "--json", *there)
        assert code == 0
        readings = json.loads(out)["readings"]
        assert (readings["ac_power"], readings["operating_state"]) == (3650, "mppt")
        code, _, err = await type_in("profile", "check", file, "modbus", "2", *there)
        assert code == 1
        assert "unit 2 is not a SunSpec device" in err


async def test_a_sunspec_device_is_read_with_every_repetition_of_its_models(type_in):
    async with ModbusTcpHost([SUN]) as host:
        code, out, _ = await type_in("read", "1", "modbus", "--json", *without_hurry(host))
    assert code == 0
    told = json.loads(out)
    assert told["profile"] == "sunspec-inverter-and-160"
    assert told["readings"]["mppt_dc_voltage_1"] == {"value": 710.5, "unit": "V"}
    assert told["readings"]["mppt_dc_voltage_2"] == {"value": 230.0, "unit": "V"}


@pytest.mark.parametrize("address", ["999", "0", "248", "one", "-1", "²"])
async def test_an_address_that_no_unit_can_have_is_no_bug_of_the_adapter(type_in, unknown, address):
    code, _, err = await type_in("read", "modbus", *on(unknown), "--", address)
    assert code in {1, 2}
    assert "bug" not in err
    assert "Traceback" not in err


def slow_line():
    """A line with a meter at unit 1 and nobody else: a scan of it takes a minute."""
    return VirtualLine([eastron_sdm630(1)], baudrate=9600)


async def stopped_scan(*more, by_signal):
    """Scan a line, stop that by Ctrl-C or by pulling its port once its meter must have been met; exit code, output, errors."""
    line = slow_line()
    async with on_a_pty(line) as port:
        there = f'lines=[{{port="{port}", baudrate=9600, parity="N"}}]'
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "scan", "modbus", "--with", there, *more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
        )
        async with asyncio.timeout(60):
            while len(line.busy_seconds) < 4:  # noqa: ASYNC110 - units that were asked; the first one is the meter
                await asyncio.sleep(0.05)
        ending = asyncio.create_task(process.communicate())
        if by_signal:
            process.send_signal(signal.SIGINT)
            await asyncio.wait({ending}, timeout=30)  # the port stays until then
    out, err = await asyncio.wait_for(ending, 60)
    return process.returncode, out.decode(), err.decode()


COMMAND = Path(sys.executable).with_name("xyte-gateway")


async def test_a_scan_that_is_stopped_shows_what_it_has_found(tmp_path):
    code, out, err = await stopped_scan("--json", by_signal=True)
    assert code == 130
    assert [one["address"] for one in json.loads(out)["found"]] == ["1"]
    assert "Stopped" in err


async def test_a_port_that_vanishes_during_a_scan_does_not_take_along_what_was_found():
    code, out, err = await stopped_scan(by_signal=False)
    assert code == 1
    assert "Eastron SDM630" in out
    assert "1 device found" in out
    assert "error: /dev/" in err


def config(tmp_path, **more):
    lines = "\n".join(f"{key} = {value}" for key, value in more.items())
    file = tmp_path / "gateway.toml"
    file.write_text(
        f"""\
[cloud]
hardware_key = "{KEY}"
entry_url = "https://entry.example"
[store]
path = "{tmp_path / "store.sqlite3"}"

[status]
port = 0
[models]
power-meter = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
[[adapter]]
type = "modbus"
lines = [{{ port = "/dev/ttyUSB0", baudrate = 1200, parity = "N", name = "cabinet" }}]
devices = [{", ".join(f'{{ unit = {unit}, profile = "eastron-sdm630" }}' for unit in range(1, 13))}]
{lines}
""",
        encoding="utf-8",
    )
    return file


async def test_check_tells_what_each_bus_has_to_bear(type_in, tmp_path):
    config(tmp_path)
    code, out, err = await type_in("check")
    assert code == 0, err
    assert "cabinet needs" in out
    assert "All its intervals will be" in out
    code, out, _ = await type_in("check", "--json")
    (bus,) = json.loads(out)["buses"]
    assert bus["load"] > bus["limit"] == 0.7
    assert bus["stretch"] == pytest.approx(bus["load"] / 0.7, rel=1e-2)
    assert len(bus["by_device"]) == 12
    assert {read["group"] for read in bus["reads"]} == set(bus["by_group"])


async def test_check_refuses_what_the_config_wants_refused(type_in, tmp_path):
    config(tmp_path, overload='"refuse"')
    code, _, err = await type_in("check")
    assert code == 2
    assert "cabinet needs" in err
    assert 'overload = "stretch"' in err


async def test_two_entries_that_want_the_same_port_are_a_mistake(type_in, tmp_path):
    file = config(tmp_path)
    second = '[[adapter]]\ntype = "modbus"\nname = "other"\nlines = [{ port = "/dev/ttyUSB0" }]\n'
    file.write_text(file.read_text() + second)
    code, _, err = await type_in("check")
    assert code == 2
    assert "port /dev/ttyUSB0 is used by the entry 'modbus' already" in err
