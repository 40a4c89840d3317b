"""Real pseudo-terminals: displays with other ids and line ends, switchers with tagged answers, and consoles."""

import asyncio
import logging
import re

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Command, CommandRejected, DeviceUnreachable, Found
from gateway.testing.serial import Console, Display, LgDisplay, ScriptedDevice, SerialLine, Switcher


@pytest.fixture
def port(tmp_path):
    return tmp_path / "usb-FTDI_FT232R_A10K3X9Q-if00-port0"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The profiles, with devices that are waited for only shortly: all of them answer at once, or not at all."""
    for file in PROFILE_FILES.folder.glob("*.toml"):
        text = re.sub(r"\btimeout = [0-9.]+", "timeout = 0.3", file.read_text("utf-8"))
        (tmp_path / file.name).write_text(re.sub(r"\bwithin = [0-9.]+", "within = 0.1", text), "utf-8")
    for name in ("LOGIN_PROMPT_SECONDS", "ACCEPTED_SECONDS"):
        monkeypatch.setattr(f"adapters.serial.session.login.{name}", 0.1)
    monkeypatch.setattr("adapters.serial.discovery.address_sweep.STEP_SECONDS", 0.1)
    monkeypatch.setattr("adapters.serial.device_search.STEP_SECONDS", 0.1)
    monkeypatch.setattr("adapters.serial.device_search.LEAST_STEP_SECONDS", 0.02)
    monkeypatch.setitem(SETTINGS, "profiles", [str(tmp_path)])


SETTINGS = {"type": "serial", "name": "rack"}


def adapter_on(line, *profiles, memory=None, **settings):
    ports = [{"port": line.port, "name": "desk", "line": "9600 8N1", "profiles": profiles}]
    entry = {**SETTINGS, "ports": ports, **settings}
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(entry))
    adapter.memory = {} if memory is None else memory
    return adapter


def child_of(found):
    return found.as_child(adapter="rack", bus="desk", model_id="m")


async def discovered(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def readings_of(adapter, child):
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


async def test_all_displays_of_a_chain_become_children_each_at_its_own_id(port):
    displays = [Display(number, serial_number=f"Z1ABH4CT30000{number}") for number in (1, 2, 9)]
    displays[2].volume = 77
    async with SerialLine(*displays, link=port) as line, adapter_on(line, "samsung-mdc") as adapter:
        found = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found[-1]))
    assert [one.address for one in found] == ["samsung-mdc/1", "samsung-mdc/2", "samsung-mdc/9"]
    assert [one.serial_number for one in found] == ["Z1ABH4CT300001", "Z1ABH4CT300002", "Z1ABH4CT300009"]
    assert readings["volume"] == 77


@pytest.mark.parametrize("end", [b"x", b"x\r\n"])
async def test_an_lg_display_beyond_the_first_id_is_found_and_read_whatever_ends_its_answers(port, end):
    async with SerialLine(LgDisplay(7, end=end), link=port) as line, adapter_on(line, "lg-display") as adapter:
        found = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found[0]))
    assert [one.address for one in found] == ["lg-display/7"]
    assert found[0].serial_number == "912MXNU5Y123"
    assert (readings["power"], readings["volume"], readings["input"]) == ("on", 20, "hdmi1")


async def test_a_samsung_display_that_answers_a_broadcast_is_found_by_its_own_id(port):
    display = Display(99, answers_broadcast=True)
    async with SerialLine(display, link=port) as line, adapter_on(line, "samsung-mdc") as adapter:
        assert (await discovered(adapter))[0].address == "samsung-mdc/99"


@pytest.mark.parametrize("verbose", [0, 1, 2, 3])
async def test_a_switcher_is_found_read_and_commanded_in_every_verbose_mode(port, verbose):
    switcher = Switcher(verbose=verbose)
    async with SerialLine(switcher, link=port) as line, adapter_on(line, "extron-in1600") as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
        result = await adapter.execute(child_of(found), Command(1, "x", "set_input", {"input": 5}))
    assert (found.model, found.sub_model, found.firmware_version) == ("60-1238-01", "IN1608", "1.04")
    assert readings == {"input": "3", "video_mute": "off", "temperature": 42.0}
    assert (switcher.input, result.is_proven) == (5, True)


class Uplink:
    def __init__(self):
        self.values = {}

    def found(self, found):
        pass

    def heard(self, readings):
        self.values.update({reading.metric.name: reading.value for reading in readings})


async def test_an_input_chosen_at_the_front_panel_is_told_at_once(port):
    switcher, uplink = Switcher(verbose=3), Uplink()
    async with SerialLine(switcher, link=port) as line, adapter_on(line, "extron-in1600") as adapter:
        await discovered(adapter)
        listening = asyncio.create_task(adapter.listen(uplink))
        async with asyncio.timeout(60):
            while uplink.values.get("input") != "6":
                switcher.press(6)
                await asyncio.sleep(0.05)
        listening.cancel()


async def test_a_log_in_prompt_ends_the_interview_with_a_sentence_and_is_not_asked_again_soon(port, caplog):
    caplog.set_level(logging.WARNING)
    console, memory = Console(), {}
    async with SerialLine(console, link=port) as line:
        async with adapter_on(line, "lg-display", "pjlink", "scpi-power-supply", memory=memory) as adapter:
            assert await discovered(adapter) == []
            assert console.typed == [b"ka 01 FF"], "the first line is the last"
            (remark,) = adapter.bus_remarks()
            assert "a log-in prompt of a computer answers on this port (`Password:`)" in remark
            assert await discovered(adapter) == []
            with pytest.raises(DeviceUnreachable, match="a log-in prompt of a computer"):
                await adapter.identify("lg-display/1")
        async with adapter_on(line, "lg-display", memory=memory) as adapter:
            assert await discovered(adapter) == []
            assert adapter.bus_remarks() == [remark], "it is remembered over a restart"
    assert console.typed == [b"ka 01 FF"]
    assert caplog.text.count("a log-in prompt of a computer answers") == 1


@pytest.mark.parametrize(("prompt", "kind"), [(b"=> ", "boot loader"), (b"Router>", "router")])
async def test_other_consoles_are_recognized_at_the_first_line(port, prompt, kind):
    console = Console(prompt)
    async with SerialLine(console, link=port) as line, adapter_on(line, "lg-display", "pjlink") as adapter:
        assert await discovered(adapter) == []
        assert kind in adapter.bus_remarks()[0]
    assert len(console.typed) == 1


GATED = """
name = "gated"
title = "Gate"
family = "sensor"
source = { document = "this test", edition = "1", section = "1", checked_against = ["this test"] }
framing = { kind = "delimiter", end = "\\r" }
talk = { echo = false, timeout = 0.5, login = [{ expect = "Password:", send = "{password}\\r" }], login_refused = "NO" }
queries = [{ name = "level", ask = "LVL?", answer = "LVL={level:d}", points = [{ metric = "level" }] }]
"""


@pytest.mark.parametrize(("password", "why"), [({}, "it needs a password"), ({"password": "mistaken"}, "the device rejects it")])
async def test_a_log_in_that_fails_is_told_and_the_password_is_not(port, tmp_path, password, why):
    (tmp_path / "gated.toml").write_text(GATED, "utf-8")
    device = ScriptedDevice(lambda line: b"NO\r" if line else b"Password:", end=b"\r")
    devices = [{"profile": "gated", **password}]
    async with SerialLine(device, link=port) as line, adapter_on(line, devices=devices) as adapter:
        assert await discovered(adapter) == []
        assert why in adapter.bus_remarks()[0]
        with pytest.raises(DeviceUnreachable, match=why):
            await adapter.identify("gated")
    assert "mistaken" not in str(adapter.bus_remarks())


async def test_a_log_in_that_works_again_is_no_remark_any_more(port, tmp_path):
    (tmp_path / "gated.toml").write_text(GATED, "utf-8")
    accepts = False

    def answer(line):
        if not accepts:
            return b"NO\r" if line else b"Password:"
        return b"LVL=7\r" if line == b"LVL?" else b"" if line else b"Password:"

    devices = [{"profile": "gated", "password": "right"}]
    async with SerialLine(ScriptedDevice(answer, end=b"\r"), link=port) as line, adapter_on(line, devices=devices) as adapter:
        await discovered(adapter)
        assert adapter.bus_remarks()
        accepts = True
        child = adapter.unregistered_child(address="gated", name="Gate", profile="gated")
        assert await readings_of(adapter, child) == {"level": 7}
        assert not adapter.bus_remarks()


MATRIX = """
name = "matrix"
title = "Matrix"
family = "switcher"
source = { document = "this test", edition = "1", section = "1", checked_against = ["this test"] }
framing = { kind = "delimiter", end = "\\r\\n" }
ends_with = "\\r"
talk = { echo = false, timeout = 0.3, prompt = "MATRIX>" }
match = [{ ask = "level", rank = 300 }]
queries = [{ name = "level", ask = "LVL?", answer = "LVL={level:d}", points = [{ metric = "level" }] }]
"""


async def test_a_device_with_a_prompt_is_found_although_other_profiles_are_tried_before(port, tmp_path):
    (tmp_path / "matrix.toml").write_text(MATRIX, "utf-8")
    device = ScriptedDevice(lambda line: (b"LVL=7\r\n" if line == b"LVL?" else b"") + b"\r\nMATRIX>", end=b"\r")
    async with SerialLine(device, link=port) as line, adapter_on(line, "lg-display", "pjlink", "matrix") as adapter:
        (found,) = await discovered(adapter)
        assert await readings_of(adapter, child_of(found)) == {"level": 7}


async def test_a_console_in_the_place_of_a_known_device_gets_three_requests_an_hour(port, caplog):
    display, console, memory = LgDisplay(), Console(), {}
    async with SerialLine(display, link=port) as line:
        async with adapter_on(line, "lg-display", memory=memory) as adapter:
            child = child_of((await discovered(adapter))[0])
            await readings_of(adapter, child)
            line.devices = [console]
            for _ in range(3):
                with pytest.raises(DeviceUnreachable, match="no answer within"):
                    await readings_of(adapter, child)
            typed = list(console.typed)
            assert len(typed) == 3
            for _ in range(3):
                with pytest.raises(DeviceUnreachable, match="a log-in prompt of a computer answers on this port"):
                    await readings_of(adapter, child)
                with pytest.raises(CommandRejected, match="log-in prompt"):
                    await adapter.execute(child, Command(1, "x", "set_volume", {"volume": 5}))
            assert "log-in prompt" in adapter.bus_remarks()[0]
        async with adapter_on(line, "lg-display", memory=memory) as adapter:
            with pytest.raises(DeviceUnreachable, match="log-in prompt"):
                await readings_of(adapter, child)
            assert console.typed == typed, "also after a restart"
            memory["console on desk"] = memory["console on desk"].rpartition(",")[0] + ", 1000]"
            line.devices = [display]
            assert (await readings_of(adapter, child))["power"] == "on"
            assert not adapter.bus_remarks(), "the device is back"
    assert caplog.text.count("a log-in prompt of a computer answers") == 1


async def test_a_device_that_shows_a_prompt_while_it_starts_is_read_on(port):
    answers = iter([b"\r\nlogin: ", b"\r\nU-Boot> ", b"a 01 OK01x", b"\r\nlogin: ", b"\r\n# ", b"a 01 OK01x"])
    device = ScriptedDevice(lambda line: next(answers) if line.startswith(b"ka") else line[1:5] + b" NGx", end=b"\r")
    async with SerialLine(device, link=port) as line, adapter_on(line, devices=[{"profile": "lg-display"}]) as adapter:
        child = adapter.unregistered_child(address="lg-display/1", name="Display", profile="lg-display")
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(DeviceUnreachable, match="no answer within"):
                    await readings_of(adapter, child)
            assert await readings_of(adapter, child) == {"power": "on"}
        assert not adapter.bus_remarks()


async def test_a_console_is_forgotten_when_a_device_is_there_instead(port):
    memory = {"console on desk": '["the prompt of a shell", "# ", 1000]'}
    async with SerialLine(LgDisplay(), link=port) as line, adapter_on(line, "lg-display", memory=memory) as adapter:
        assert adapter.bus_remarks()
        assert await discovered(adapter) != []
        assert not adapter.bus_remarks()
    assert "console on desk" not in memory
