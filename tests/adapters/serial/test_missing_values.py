"""What a device sends in the place of a value that it does not have is none, from the wire to `read --json`."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from adapters.serial import SerialAdapter
from gateway.testing.serial import Gps, NoFix, PowerSupply, SerialLine, TextSensor

GENEROUS_SECONDS = 20.0
"""Nothing here takes so long but on a machine that is busy with something else."""

COMMAND = Path(sys.executable).with_name("xyte-gateway")


@pytest.fixture
def line(tmp_path):
    return lambda device: SerialLine(device, link=tmp_path / "usb-FTDI_FT232R_A10K3X9Q-if00-port0")


class Collected(list):
    """The uplink of a test: the readings that were heard."""

    def found(self, device):
        pass

    def heard(self, readings):
        self.extend(readings)


async def heard_from(line, profile, enough):
    """Return what was heard from the device on a line until it is enough, by metric, and the adapter's remarks."""
    settings = {"type": "serial", "ports": [line.port], "devices": [{"port": line.port, "profile": profile}]}
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
    child = adapter.unregistered_child(address=profile, name="it", key="it", profile=profile)
    assert adapter.may_be_quiet(child) is not None
    heard = Collected()
    async with adapter:
        listening = asyncio.create_task(adapter.listen(heard))
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not enough(heard):  # noqa: ASYNC110 - a claim about what came, not an event
                await asyncio.sleep(0.005)
        remarks = adapter.remarks(child)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    values = {}
    for reading in heard:
        values.setdefault(reading.metric.name, set()).add(reading.value)
    return values, remarks


def rounded(angles):
    return {round(angle, 7) for angle in angles}


@pytest.mark.parametrize("no_fix", list(NoFix))
async def test_a_receiver_without_a_fix_has_satellites_and_the_quality_of_its_fix_and_nothing_else(line, no_fix):
    gps = Gps(sends_every_seconds=0.02)
    gps.no_fix = no_fix
    async with line(gps) as port:
        values, _ = await heard_from(port, "nmea-0183", lambda heard: len(heard) > 30)
    assert values.pop("fix") == {"none"}
    assert values.pop("satellites") == {0}
    assert values.keys() == {"latitude", "longitude", "altitude", "horizontal_dilution", "speed", "course", "time"}
    assert all(value == {None} for value in values.values())


async def test_a_sentence_that_lost_its_checksum_and_a_digit_is_never_believed_and_told_of(line):
    gps = Gps(sends_every_seconds=0.02)
    gps.lost_checksum_every = 3
    async with line(gps) as port:
        values, remarks = await heard_from(port, "nmea-0183", lambda heard: len(heard) > 60)
    assert values["longitude"] <= rounded(gps.sent["longitude"])
    assert values["latitude"] <= rounded(gps.sent["latitude"])
    assert values["course"] <= gps.sent["course"]
    assert any("without a checksum, on a line whose frames have one" in remark for remark in remarks)


async def test_a_receiver_that_never_sends_checksums_is_understood(line):
    gps = Gps(sends_every_seconds=0.02)
    gps.checksums = False
    async with line(gps) as port:
        values, _ = await heard_from(port, "nmea-0183", lambda heard: len(heard) > 20)
    assert values["longitude"] <= rounded(gps.sent["longitude"])


@pytest.mark.parametrize("overload", ["9.91E37", "9.9E37", "-9.9E37", "+9.90000000E+37", "OL", "+OVER"])
async def test_an_overload_of_an_instrument_is_none_and_no_volts(line, overload):
    supply = PowerSupply()
    supply.overload = overload
    async with line(supply) as port:
        settings = {"type": "serial", "ports": [port.port], "devices": [{"port": port.port, "profile": "scpi-power-supply"}]}
        adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
        async with adapter:
            found = await adapter.identify("scpi-power-supply")
            child = found.as_child(adapter="rack", bus="rack")
            blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    values = {reading.metric.name: reading.value for block in blocks for reading in block}
    assert values == {"voltage": None, "current": None, "voltage_set_point": 12.0, "current_limit": 3.0, "output": "on"}


@pytest.mark.parametrize(("style", "failed"), [("pairs", "nan"), ("json", "1e400")])
@pytest.mark.enable_socket
async def test_read_prints_json_also_when_the_device_sends_no_number(line, style, failed):
    sensor = TextSensor(style, sends_every_seconds=0.05)
    sensor.failed = failed
    profile = {"pairs": "key-value-lines", "json": "json-lines"}[style]
    async with line(sensor) as port:
        with_ = [f'ports=["{port.port}"]', f'devices=[{{profile="{profile}"}}]']
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "read", profile, "serial", "--with", with_[0], "--with", with_[1], "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        written, errors = await process.communicate()
    assert process.returncode == 0, errors
    read = json.loads(written, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert read["readings"]["hum"] == {"value": None, "unit": None}
    assert read["readings"]["temp"]["value"] in sensor.sent["temp"]
