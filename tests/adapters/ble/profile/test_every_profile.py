"""Test all profiles against each other: a simulated device of each case is found as itself, read over D-Bus, and is no other."""

from __future__ import annotations

import asyncio
import tomllib
from functools import partial
from pathlib import Path

import pytest

from adapters.ble import BleAdapter
from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.profile_matching import alternatives, best_match, best_profile
from gateway.adapter import ChildDevice, Found
from gateway.testing.bluetooth.gatt import Characteristic, Service, Write
from gateway.testing.bluetooth.peripheral import Peripheral

FOLDER = Path(__file__).parents[1]
PROFILES = PROFILE_FILES.load()
CASES = sorted((FOLDER / "cases").glob("*/*"))
ADVERTS = sorted((FOLDER / "adverts").glob("*/*.toml"))

ALSO_READ_OVER_A_CONNECTION = {
    "airthings-wave-plus/who-it-is": "airthings-wave-plus",
    "aranet4/integrations-switched-off": "aranet4",
    "aranet4/values": "aranet4",
    "xiaomi-hhccjcy01/temperature": "xiaomi-flower-care",
    "xiaomi-lywsd03mmc/encrypted-with-another-key": "xiaomi-lywsd03mmc",
    "xiaomi-lywsd03mmc/encrypted-with-its-key": "xiaomi-lywsd03mmc",
    "xiaomi-lywsd03mmc/encrypted-without-a-key": "xiaomi-lywsd03mmc",
}
"""The advertisements of devices that have a profile, too."""

PATIENCE_SECONDS = 120.0


def bytes_of(written: str) -> bytes:
    return written.removeprefix("text:").encode() if written.startswith("text:") else bytes.fromhex(written)


def advertised(said: dict) -> dict:
    """Return what a device sends, as both the simulation and the adapter's own `Advertisement` take it."""
    return {
        "name": said.get("name"),
        "manufacturer_data": {int(str(key), 0): bytes.fromhex(sent) for key, sent in said.get("manufacturer_data", {}).items()},
        "service_data": {full_uuid(uuid): bytes.fromhex(sent) for uuid, sent in said.get("service_data", {}).items()},
        "service_uuids": tuple(map(full_uuid, said.get("service_uuids", ()))),
    }


def fitting(advertisement: Advertisement) -> list[str]:
    return sorted(name for name, profile in PROFILES.items() if best_match(advertisement, profile) is not None)


def toml(file: Path) -> dict:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def simulated(folder: Path, number: int) -> Peripheral:
    """Make a device of a case: what it advertises, its characteristics, and its answers to the requests of its profile."""
    said, profile = toml(folder / "device.toml"), PROFILES[folder.parent.name]
    made: dict[str, dict[str, Characteristic]] = {}
    for service, characteristics in said["services"].items():
        for uuid, content in characteristics.items():
            content = {"payload": content} if isinstance(content, str) else content
            uses = content.get("uses", ["read"])
            made.setdefault(full_uuid(service), {})[full_uuid(uuid)] = Characteristic(
                uuid, uses, bytes_of(content.get("payload", "")), notify_every=0.05 if "payload" in content else None
            )
    for request in profile.requests:
        written, answering = made[request.service][request.write], made[request.answered_in][request.notify]
        written.on_write = partial(answer, profile, said["answers"], answering)
        answering.value = written.value = lambda _: b""
    services = [Service(uuid, characteristics.values()) for uuid, characteristics in made.items()]
    return Peripheral(f"A4:C1:38:00:01:{number:02X}", services=services, **advertised(said["advertisement"]))


def answer(profile: Profile, answers: dict[str, str], answering: Characteristic, write: Write) -> None:
    """Send the answer to a request as such devices do: 20 bytes at once, behind bytes that belong to nothing."""
    for request in profile.requests:
        if request.payload == write.value and request.name in answers:
            sent = bytes_of(answers[request.name])
            pieces = [sent] if request.answer.length is None else [sent[at : at + 20] for at in range(0, len(sent), 20)]
            for piece in (b"AT\r\n", *pieces):
                answering.notify(piece)


def first_cases() -> list[Path]:
    """Return one case of each profile."""
    return [next(folder for folder in CASES if folder.parent.name == name) for name in sorted(PROFILES)]


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_the_advertisement_of_a_device_fits_its_profile_and_no_other_that_its_answer_would_not_tell_apart(folder):
    advertisement = Advertisement(address="A4:C1:38:01:02:03", **advertised(toml(folder / "device.toml")["advertisement"]))
    same = alternatives(PROFILES[folder.parent.name], PROFILES.values())
    assert fitting(advertisement) == sorted(one.name for one in same)
    assert len(same) == 1 or all(one.confirm is not None for one in same)


@pytest.mark.parametrize("file", ADVERTS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_only_advertises_fits_no_profile(file):
    expected = ALSO_READ_OVER_A_CONNECTION.get(f"{file.parent.name}/{file.stem}")
    for said in toml(file)["heard"]:
        advertisement = Advertisement(address=said["address"], **advertised(said))
        found = best_profile(advertisement, PROFILES.values())
        assert (None if found is None else found.name) in {None, expected}, said


async def test_a_simulated_device_of_each_profile_is_found_as_itself_and_read(bluez):
    folders = first_cases()
    devices = [simulated(folder, number) for number, folder in enumerate(folders)]
    for device in devices:
        bluez.environment.add(device)
    adapter = BleAdapter(BleAdapter.settings_model.model_validate({"type": "ble", "name": "radio", "scan_time": 0.2}))
    async with adapter, asyncio.timeout(PATIENCE_SECONDS):
        found: dict[str, Found] = {}
        while len(found) < len(devices):
            found |= {step.address: step async for step in adapter.discover() if isinstance(step, Found)}
        told = {device.address: (found[device.address].profile, found[device.address].needs) for device in devices}
        assert told == {device.address: (folder.parent.name, None) for device, folder in zip(devices, folders, strict=True)}
        for device, folder in zip(devices, folders, strict=True):
            expected = toml(folder / "expected.toml")["readings"]
            events = {point.metric for point in PROFILES[folder.parent.name].points if point.event}
            values = await values_of(adapter, found[device.address])
            wanted = {name: None if value == "<none>" else value for name, value in expected.items() if name not in events}
            assert values == pytest.approx(wanted)  # a case has as many digits as a person writes


async def values_of(adapter: BleAdapter, found: Found) -> dict[str, object]:
    child = ChildDevice(
        key=found.identity.key, adapter="radio", bus="radio", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}
