"""The commands as a person types them: a process each, real sockets and ptys, text and JSON."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import COMMANDS, app
from gateway.emulator import Emulator
from gateway.testing.demo_devices import tcp_units
from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
KEY = "0f0e0d0c-1111-4222-8333-444455556666"
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"


@pytest.fixture
async def plant():
    async with ModbusTcpHost(tcp_units()) as host:
        yield host


@pytest.fixture
async def cloud():
    async with Emulator(hardware_keys=[KEY], models=[MODEL]) as emulator:
        yield emulator


@pytest.fixture
def config(tmp_path, plant, cloud):
    file = tmp_path / "gateway.toml"
    file.write_text(
        f"""\
[gateway]
mac = "02:00:5e:10:00:01"
[cloud]
hardware_key = "{KEY}"
entry_url = "{cloud.entry_url}"
allow_plain_http = true
telemetry_every = 5
[store]
path = "{tmp_path}/store/gateway.sqlite3"

[status]
port = 0
[models]
power-meter = "{MODEL}"
inverter = "{MODEL}"
[[adapter]]
type = "modbus"
name = "plant"
hosts = [{{ host = "127.0.0.1", port = {plant.port}, name = "hall" }}]
units = "1-5"
scan_timeout = 0.1
"""
    )
    return file


def children_of(cloud):
    return [device for device in cloud.cloud.devices.values() if device.parent_id is not None]


async def until(claim, seconds=60):
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.02)


async def test_check_praises_a_good_file(type_in, config):
    code, out, _ = await type_in("check")
    assert code == 0
    assert "gateway.toml is fine" in out
    assert KEY not in out
    code, out, _ = await type_in("check", "--json")
    said = json.loads(out)
    assert said["problems"] == []
    assert said["store_state"] == "will be created at the first start"
    assert said["adapters"] == [{"name": "plant", "type": "modbus"}]


async def test_check_names_each_mistake_with_file_line_and_fix(type_in, config):
    config.write_text(config.read_text().replace("units =", "unit =").replace("telemetry_every = 5", "telemetry_every = 1"))
    code, out, err = await type_in("check")
    assert code == 2
    assert "gateway.toml:7: cloud.telemetry_every" in err
    assert "gateway.toml:20: adapter[0].unit: no such key" in err
    assert "Did you mean 'units'?" in err
    assert "2 problems" in err
    assert out == ""
    code, out, _ = await type_in("check", "--json")
    assert code == 2
    assert [(one["line"], one["where"]) for one in json.loads(out)["problems"]] == [
        (7, "cloud.telemetry_every"),
        (20, "adapter[0].unit"),
    ]


async def test_scan_shows_who_answers_and_what_each_would_become(type_in, config):
    code, out, _ = await type_in("scan", "--json")
    assert code == 0
    found = {one["address"]: one for one in json.loads(out)["found"]}
    assert {address: one["sub_model"] for address, one in found.items()} == {"1": "iEM3255", "2": "Symo 10.0-3-M", "3": "E1210"}
    assert found["1"]["becomes"] == f"a child of model {MODEL}"
    assert "add to [models]: io-module =" in found["3"]["becomes"]
    code, out, _ = await type_in("scan", "plant", "--evidence")
    assert code == 0
    assert "3 devices found" in out
    assert found["1"]["evidence"].keys() & {line.strip().split(":")[0] for line in out.splitlines()}


async def test_scan_and_read_work_without_a_config(type_in, plant):
    hosts = f'hosts=["127.0.0.1:{plant.port}"]'
    code, out, _ = await type_in("scan", "modbus", "--with", hosts, "--with", "units=1-3", "--json")
    assert code == 0
    assert len(json.loads(out)["found"]) == 3
    code, out, _ = await type_in("read", "1", "modbus", "--with", hosts, "--json")
    assert code == 0
    values = json.loads(out)["readings"]
    assert 227 < values["voltage_l1_n"]["value"] < 233 if "voltage_l1_n" in values else len(values) > 10


async def test_a_search_says_what_it_asked_and_how_many_stayed_quiet(type_in, plant):
    on = ("scan", "modbus", "--with", f'hosts=["127.0.0.1:{plant.port}"]', "--with", "scan_timeout=0.1", "--with")
    code, out, _ = await type_in(*on, "units=1-5", "--json")
    (search,) = json.loads(out)["searches"]
    assert (code, search["asked"], search["answered"], search["quiet"]) == (0, 6, 3, 3), "and the unit that no host may have"
    code, out, _ = await type_in(*on, "units=7-8")
    assert code == 0, "it was searched"
    assert "0 devices found" in out
    assert re.search(r"asked \d+ unit ids: 0 answered, \d+ stayed quiet; if a device is missing, check its unit id", out)


async def test_an_entry_without_any_port_could_not_be_searched(type_in):
    code, out, _ = await type_in("scan", "serial", "--with", 'ports=["usb:dead:beef"]', "--json")
    assert code == 1
    assert "nothing was searched" in json.loads(out)["problems"][0]["problem"]


async def test_a_host_that_is_not_there_is_said_with_exit_code_1(type_in):
    code, _out, err = await type_in("scan", "modbus", "--with", 'hosts=["127.0.0.1:1"]')
    assert code == 1
    assert "refuses the connection" in err
    assert err.count("127.0.0.1:1") == 1
    code, _, err = await type_in("read", "1", "modbus", "--with", 'hosts=["127.0.0.1:1"]')
    assert code == 1
    assert "Traceback" not in err


async def test_a_unit_that_is_not_there_is_said(type_in, config):
    code, _, err = await type_in("read", "77", "plant")
    assert code == 1
    assert "unit 77" in err


async def test_a_broken_profile_is_a_mistake_of_the_configuration(type_in, config, tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.toml").write_text("name = mine\n")
    config.write_text(config.read_text() + 'profiles = ["profiles"]\n')
    code, out, err = await type_in("check", "--json")
    assert (code, err) == (2, "")
    assert "profiles/mine.toml" in json.loads(out)["problems"][0]["wrong"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["scan"], 2, "there is no [[adapter]] entry"),
        (["scan", "modbus", "--with", 'hostz=["a"]'], 2, "Did you mean 'hosts'"),
        (["scan", "--with", 'hosts=["a"]'], 2, "Name the adapter first"),
        (["read", "1", "modbus", "--with", 'hosts=["127.0.0.1:1"]'], 1, "refuses the connection"),
        (["read", "1", "modbus", "--with", 'hosts=["127.0.0.1:1"]', "--bus", "attic"], 2, "no bus is called 'attic'"),
        (["children"], 1, "there is no store"),
        (["children", "admit", "sn:1"], 1, "there is no store"),
        (["check", "--config", "/tmp"], 2, "Is a directory"),
        (["check"], 2, "Create one from deploy/gateway.example.toml"),
    ],
)
async def test_what_is_wrong_is_one_json_document_for_a_program(type_in, arguments, code, says):
    ended, out, err = await type_in(*arguments, "--json")
    assert (ended, err) == (code, "")
    assert says in json.dumps(json.loads(out))


async def test_run_tells_a_program_its_mistakes_line_by_line(type_in):
    code, out, err = await type_in("run", "--no-wait", "--json", XYTE_GATEWAY__CLOUD__HARDWAREKEY="s3cret")
    assert (code, out) == (2, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert "XYTE_GATEWAY__CLOUD__HARDWAREKEY: no such key. Did you mean 'hardware_key'?" in lines[0]["message"]
    assert {line["level"] for line in lines} == {"error"}
    assert "s3cret" not in err


async def test_listing_the_commands_imports_neither_library_nor_adapter():
    listing = "import sys, gateway.cli\ntry: gateway.cli.app(['--help'])\nexcept SystemExit: print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", listing, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    help_text, _, modules = out.decode().strip().rpartition("\n")
    assert all(f"  {name} " in help_text for name in COMMANDS)
    assert not {"aiohttp", "pydantic", "pymodbus", "gateway.emulator", "adapters"} & set(modules.split())


async def test_check_starts_without_what_only_the_cloud_needs(config):
    checking = (
        "import sys, gateway.cli\ntry: gateway.cli.app(['check', '-c', sys.argv[1]])\nexcept SystemExit: print(*sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", checking, config, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    said, _, modules = out.decode().strip().rpartition("\n")
    assert "is fine" in said
    assert not {"aiohttp", "gateway.runtime.app", "gateway.emulator"} & set(modules.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_listed_is_there_and_explains_itself(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        app([name, "--help"], prog_name="xyte-gateway")
    assert f"Usage: xyte-gateway {name}" in capsys.readouterr().out


def test_a_mistyped_command_is_answered_with_the_one_meant(capsys):
    with pytest.raises(SystemExit, match="2"):
        app(["skan"])
    assert "Did you mean 'scan'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scan"], "there is no [[adapter]] entry"),
        (["scan", "modbs", "--with", "units=1"], "Did you mean 'modbus'"),
        (["scan", "modbus", "--with", "="], "is not KEY=VALUE"),
        (["scan", "modbus", "--with", 'hostz=["a"]'], "Did you mean 'hosts'"),
        (["run", "--no-wait"], "hardware_key"),
        (["run", "--no-wait", "--config", "nowhere.toml"], "there is none here"),
        (["children"], "there is no store"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(type_in, arguments, says):
    code, out, err = await type_in(*arguments)
    assert code in (1, 2)
    assert says in err
    assert "Traceback" not in out + err


async def test_adapters_lists_what_each_can_be_told(type_in):
    code, out, _ = await type_in("adapters")
    assert code == 0
    assert "modbus" in out
    assert "scan_timeout" in out
    code, out, _ = await type_in("adapters", "--json")
    settings = {adapter["name"]: adapter["settings"]["properties"] for adapter in json.loads(out)}
    assert settings["modbus"]["units"]["description"]
    assert settings["ble"]["scanning"]["description"]


async def test_run_does_the_main_job_and_ends_in_time(type_in, config, tmp_path, cloud):
    process = await asyncio.create_subprocess_exec(COMMAND, "run", cwd=tmp_path, stderr=asyncio.subprocess.PIPE)
    await until(lambda: len(children_of(cloud)) == 2 and all(len(child.state) > 5 for child in children_of(cloud)))
    _code, out, _ = await type_in("children", "--json")
    listed = json.loads(out)
    assert {child["sub_model"] for child in listed["children"]} == {"iEM3255", "Symo 10.0-3-M"}
    assert {child["state"] for child in listed["children"]} == {"registered"}
    assert [one["name"].split()[0] for one in listed["waiting"]] == ["Moxa"]
    _, second, err = await type_in("run", "--no-wait")
    assert "in use by another gateway" in second + err
    begun = asyncio.get_running_loop().time()
    process.send_signal(signal.SIGTERM)
    log = (await process.stderr.read()).decode()
    assert await process.wait() == 0
    assert asyncio.get_running_loop().time() - begun < 8
    assert "registered as" in log
    assert KEY not in log
    keys = [child.access_key for child in cloud.cloud.devices.values()]
    assert not [key for key in keys if key in log + out]


async def test_a_device_is_admitted_and_ignored_from_the_command_line(type_in, config, tmp_path, cloud):
    config.write_text(config.read_text() + '[admission]\npolicy = "ask"\n')
    process = await asyncio.create_subprocess_exec(COMMAND, "run", "--json", cwd=tmp_path, stderr=asyncio.subprocess.PIPE)
    store = tmp_path / "store" / "gateway.sqlite3"
    await until(lambda: store.exists() and len(cloud.cloud.devices) == 1)
    waiting = []
    async with asyncio.timeout(60):
        while len(waiting) < 3:
            _, out, _ = await type_in("children", "--json")
            waiting = [one["key"] for one in json.loads(out)["waiting"]]
    code, out, _ = await type_in("children", "admit", waiting[0])
    assert (code, "will be admitted" in out) == (0, True)
    assert (await type_in("children", "ignore", waiting[1]))[0] == 0
    code, _, err = await type_in("children", "admit", "sn:nobody")
    assert (code, "waits for no decision" in err or "as its key, name or address" in err) == (1, True)
    await until(lambda: len(children_of(cloud)) == 1)
    code, out, _ = await type_in("children", "rename", waiting[0], "Boiler  house")
    assert (code, out.strip()) == (0, f"{waiting[0]}: is named Boiler house")
    assert (await type_in("children", "rename", waiting[2], "By the stairs"))[0] == 0
    await until(lambda: children_of(cloud)[0].name == "Boiler house")
    _, out, _ = await type_in("children", "--json")
    listed = json.loads(out)
    assert (listed["children"][0]["name"], listed["children"][0]["found_as"] != "Boiler house") == ("Boiler house", True)
    assert "By the stairs" in {one["name"] for one in listed["waiting"]}
    code, out, _ = await type_in("children", "rename", waiting[2], "--json")
    found_as = {one["key"]: one["found_as"] for one in listed["waiting"]}
    assert json.loads(out) == {"key": waiting[2], "name": found_as[waiting[2]]}
    for wrong, ended, says in (("", 2, "1 to 100 characters"), ("a\x1b[2J", 2, "cannot be seen")):
        code, _, err = await type_in("children", "rename", waiting[0], wrong)
        assert (code, says in err) == (ended, True)
    code, _, err = await type_in("children", "rename", "sn:nobody", "X")
    assert (code, "as its key, name or address" in err) == (1, True)
    process.send_signal(signal.SIGINT)
    log = (await process.stderr.read()).decode()
    assert await process.wait() == 0, log
    assert all(json.loads(line)["message"] for line in log.splitlines())


async def test_the_demo_proves_the_main_job_and_shows_what_became_of_commands_and_configurations(type_in):
    for seconds in ("25", "90"):  # a busy machine needs more
        code, out, err = await type_in("demo", "--for", seconds, "--json")
        report = json.loads(out)
        if code == 0 and all(one["state"] == "in effect" for one in report["configurations"]):
            break
    assert (code, err) == (0, ""), report["problems"]
    assert report["problems"] == []
    assert report["parent"]["sub_model"] == "demo"
    assert {child["sub_model"] for child in report["children"]} == {
        "iEM3255", "Symo 10.0-3-M", "E1210", "Modbus POE ETH Relay (B)", "SDM630-Modbus", "B23 112-100", "E5CC",
        "SBHT-003C", "BRD4166A", "Bot", "QM55R", None,
    }  # fmt: skip
    assert all(len(child["telemetry"]) > 4 for child in report["children"] if child["sub_model"] != "Bot")
    assert {child["adapter"] for child in report["children"]} == {"modbus", "air", "ports"}
    assert report["calls"]["Register Child Device"] == 12
    assert report["seconds_to_first_telemetry"] < 30, "on a quiet machine three"
    commands = {command["name"]: command for command in report["commands"]}
    assert {name: command["status"] for name, command in commands.items()} == {
        "switch_relay_1": "done", "press": "done", "set_volume": "done", "rescan": "done",
    }  # fmt: skip
    assert "was false" in commands["switch_relay_1"]["message"]
    assert "sent, not proven" in commands["press"]["message"]
    assert [one["state"] for one in report["configurations"]] == ["in effect"] * 2


async def test_the_demo_is_live_at_a_terminal():
    master, slave = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "60"}
    process = await asyncio.create_subprocess_exec(
        COMMAND, "demo", "--page-port", "0", stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    shown = ""

    async def show():
        nonlocal shown
        shown += (await asyncio.to_thread(os.read, master, 65536)).decode(errors="replace")

    try:
        async with asyncio.timeout(100):
            while not any(picture.count("online") > 12 for picture in shown.split("values in the cloud")[4:-1]):
                await show()  # until a picture that was drawn again shows the gateway and its twelve children with values
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # the other end is closed
                while True:
                    await show()
            code = await process.wait()  # before a kill, which would take the exit code away
    finally:
        os.close(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (code, "Traceback" in shown) == (0, False), shown[-2000:]
    assert "All is well" in shown
    assert shown.partition("All is well")[0].count("volume") > 1, "the picture is drawn again and again, with values in it"


async def test_the_demo_reads_well_without_a_terminal():
    for seconds in ("6", "20", "90"):  # a busy machine needs more
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "demo", "--for", seconds, "--page-port", "0"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
        )
        out, err = (written.decode() for written in await process.communicate())
        if process.returncode == 0:
            break
    assert process.returncode == 0, err
    assert "emulated cloud" in out
    assert "All is well" in out
    longest = max(len(line) for line in out.splitlines() if "online" in line)
    assert longest <= 200, "a pipe has no width, and a meter has a hundred values"


async def test_where_the_environment_says_all_no_command_wants_the_file_that_a_container_has_a_name_for(type_in):
    environment = {
        "XYTE_GATEWAY_CONFIG": "/nowhere/gateway.toml",
        "XYTE_GATEWAY__CLOUD__HARDWARE_KEY": "0f0e0d0c-1111-4222-8333-444455556666",
        "XYTE_GATEWAY__STORE__PATH": "gateway.sqlite3",
    }
    code, _, err = await type_in("check", **environment)
    assert (code, "cannot be read" in err) == (2, True)
    environment["XYTE_GATEWAY__ADAPTER"] = '[{"type": "modbus", "hosts": ["127.0.0.1"]}]'
    code, out, _ = await type_in("check", **environment)
    assert (code, "The environment alone is fine" in out) == (0, True)
    _, out, _ = await type_in("doctor", **environment)
    assert "the environment alone has no mistake" in out
