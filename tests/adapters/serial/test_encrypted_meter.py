"""A meter that encrypts its telegrams: found and named without its key, read with it, and no key in any text."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.serial import SerialAdapter
from adapters.serial.settings import PortRule, key_advice
from gateway.adapter import DeviceUnreachable, Found
from gateway.testing.serial import MeterChannel, P1Meter, SerialLine
from gateway.testing.serial.meter import GAS

GENEROUS_SECONDS = 20.0
"""Nothing here takes so long but on a machine that is busy with something else."""

COMMAND = Path(sys.executable).with_name("xyte-gateway")
KEY = "5b9e0f33c2d6a8174e6b0d1fa29c7738"
OTHER_KEY = "00112233445566778899aabbccddeeff"
NEEDS_KEY = "its telegrams are encrypted: ask its grid operator for the `decryption_key`"
SERIAL_NUMBER = "SAG677000A1B2"


@pytest.fixture
def meter():
    return P1Meter([MeterChannel(GAS, 12.5)], country="lu", decryption_key=bytes.fromhex(KEY), sends_every_seconds=0.05)


@pytest.fixture
def line(meter, tmp_path):
    return SerialLine(meter, link=tmp_path / "usb-FTDI_FT232R_A10K3X9Q-if00-port0")


def settings_of(line, **device):
    entry = {"type": "serial", "name": "rack", "ports": [{"port": line.port, "line": "115200 8N1"}]}
    if device:
        entry["devices"] = [{"profile": "dsmr-p1", **device}]
    return SerialAdapter.settings_model.model_validate(entry)


async def found_on(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def read_from(adapter, found):
    child = found.as_child(adapter="rack", bus=adapter.bus)
    return {reading.metric.name: reading.value async for block in adapter.read(child, frozenset()) for reading in block}


async def test_without_its_key_it_is_found_by_its_system_title_and_tells_what_it_needs(line):
    async with line, SerialAdapter(settings_of(line)) as adapter:
        (found,) = await found_on(adapter)
        with pytest.raises(DeviceUnreachable, match="its telegrams are encrypted"):
            await read_from(adapter, found)
        remarks = adapter.remarks(found.as_child(adapter="rack", bus=adapter.bus))
    assert (found.serial_number, found.profile, str(found.confidence)) == (SERIAL_NUMBER, "dsmr-p1", "certain")
    assert found.needs is not None
    assert found.needs.startswith(NEEDS_KEY)
    assert 'profile = "dsmr-p1", decryption_key_file = "/run/secrets/dsmr-p1" }]' in found.needs
    assert found.needs in remarks


@pytest.mark.parametrize(
    ("port", "is_shown"), [("/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10K3X9Q-if00-port0", True), ("/dev/" + "x" * 200, False)]
)
def test_what_it_needs_is_one_sentence_that_is_not_cut(port, is_shown):
    needs = f"{NEEDS_KEY}; {key_advice(PortRule(port=port), 'dsmr-p1')}"
    assert len(needs) < 300
    assert (f'port = "{port}"' in needs) is is_shown


@pytest.mark.parametrize("is_in_file", [True, False])
async def test_with_its_key_it_is_read_and_is_the_same_device(line, tmp_path, is_in_file):
    async with line:
        async with SerialAdapter(settings_of(line)) as adapter:
            (before,) = await found_on(adapter)
        (tmp_path / "key").write_text(f"{KEY}\n")
        key = {"decryption_key_file": str(tmp_path / "key")} if is_in_file else {"decryption_key": KEY.upper()}
        async with SerialAdapter(settings_of(line, **key)) as adapter:
            (found,) = await found_on(adapter)
            values = await read_from(adapter, found)
    assert found.identity == before.identity
    assert found.needs is None
    assert found.model == "Lux5\\253663629_D"
    assert values["gas"] == 12.5
    assert values["energy_import"] > 273


async def test_the_key_of_another_meter_is_told_once_and_never_shown(line, caplog):
    caplog.set_level(logging.INFO)
    async with line, SerialAdapter(settings_of(line, decryption_key=OTHER_KEY)) as adapter:
        (found,) = await found_on(adapter)
        for _ in range(3):
            with pytest.raises(DeviceUnreachable, match="it is that of another meter") as told:
                await read_from(adapter, found)
    assert found.needs == "its telegrams do not decrypt with this `decryption_key`: it is that of another meter"
    told_of = [record.getMessage() for record in caplog.records if "cannot be decoded" in record.getMessage()]
    assert told_of == [
        f"{adapter.bus}: the messages of the Electricity meter with a P1 port (DSMR, eMUCS) cannot be decoded: {found.needs}"
    ]
    assert OTHER_KEY not in caplog.text.lower() + str(told.value)


async def test_a_meter_whose_key_becomes_right_is_read_from_then_on(line, meter, caplog):
    caplog.set_level(logging.INFO)
    meter.decryption_key = bytes(16)
    async with line, SerialAdapter(settings_of(line, decryption_key=KEY)) as adapter:
        (found,) = await found_on(adapter)
        assert found.needs is not None
        meter.decryption_key = bytes.fromhex(KEY)
        async with asyncio.timeout(GENEROUS_SECONDS):
            while "gas" not in (values := await read_or_none(adapter, found)):
                pass
        assert not [remark for remark in adapter.remarks(found.as_child(adapter="rack", bus=adapter.bus)) if "decrypt" in remark]
    assert values["gas"] == 12.5
    assert "can be decoded now" in caplog.text


async def read_or_none(adapter, found):
    try:
        return await read_from(adapter, found)
    except DeviceUnreachable:
        return {}


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ({"decryption_key": "12"}, "the decryption_key must have 32 hexadecimal digits"),
        ({"decryption_key": KEY, "authentication_key": "xyz"}, "the authentication_key must have 32 hexadecimal digits"),
        ({"decryption_key": KEY, "decryption_key_file": "key"}, "keep one of the two"),
        ({"authentication_key": KEY}, "without a decryption_key"),
        ({"decryption_key_file": "missing"}, "decryption_key_file"),
        ({"profile": "nmea-0183", "decryption_key": KEY}, "devices with the profile nmea-0183 do not encrypt"),
        ({"profile": "pjlink", "decryption_key": KEY}, "do not encrypt"),
    ],
)
def test_a_wrong_key_in_the_config_is_a_mistake_that_is_not_quoted(line, device, why):
    with pytest.raises(ValidationError, match=why) as told:
        settings_of(line, **device)
    assert KEY not in str(told.value)


@pytest.mark.enable_socket
@pytest.mark.parametrize("command", ["scan", "read"])
async def test_the_commands_tell_what_it_needs_and_end_with_an_error(line, command):
    async with line:
        words = ["scan", "serial"] if command == "scan" else ["read", "dsmr-p1", "serial"]
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, *words, "--with", f'ports=[{{port="{line.port}",line="115200 8N1"}}]'),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        written, errors = await process.communicate()
    assert process.returncode == 1
    assert NEEDS_KEY in " ".join(errors.decode().split())
    if command == "scan":
        assert SERIAL_NUMBER in written.decode()
