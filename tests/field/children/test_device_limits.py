"""A flood of devices, which anybody can send by radio, fills neither the memory nor the account in the cloud."""

import logging
from dataclasses import replace

import pytest

from gateway.config.settings import Policy
from gateway.field.children.availability import Availability
from gateway.field.children.device_limits import DeviceLimits
from gateway.field.children.intake import DeviceIntake
from gateway.models import Found, Identity, IdentityKind
from gateway.state.records import Decision
from gateway.state.registry import Registry
from gateway.state.store import Store

LIMITS = DeviceLimits(most_children=5, most_found_devices=20, children_of={"radio": 3}, found_devices_of={"radio": 10})
MODELS = {"meter": "m-1"}


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as opened:
        yield opened


@pytest.fixture
async def registry(store):
    registry = Registry(store)
    await registry.load()
    return registry


@pytest.fixture
def intake(registry):
    return DeviceIntake(registry, Availability(), policy=Policy.MATCHED, models=MODELS, limits=LIMITS)


def found(number, *, profile=None):
    identity = Identity(IdentityKind.MAC, f"{number:012x}")
    return Found(address=f"{number:012x}", identity=identity, name=f"device {number}", profile=profile, family="meter")


def key(number):
    return f"mac:{number:012x}"


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_of_many_strangers_those_not_found_for_longest_are_forgotten_and_that_is_told_once(intake, registry, store, caplog):
    caplog.set_level(logging.INFO)
    for number in range(1, 301):
        await intake.take_in("other", "bus", found(number))
        await intake.take_in("other", "bus", found(1))
    assert len(registry.found_devices) <= 20
    assert {key(1), key(300), key(299)} <= registry.found_devices.keys(), "the first one was found again and again"
    assert key(2) not in registry.found_devices
    (told,) = warnings(caplog)
    assert "more than 20 devices were found" in told
    assert "most_found_devices under [admission]" in told
    assert len(caplog.records) < 30, "the others of a flood are not logged"
    again = Registry(store)
    await again.load()
    assert again.found_devices.keys() == registry.found_devices.keys(), "what is forgotten is removed from the store"
    assert intake.notices == [told]


async def test_an_entry_with_a_limit_of_its_own_leaves_the_strangers_of_others_alone(intake, registry):
    for number in range(1, 6):
        await intake.take_in("other", "bus", found(number))
    for number in range(100, 200):
        await intake.take_in("radio", "radio", found(number))
    of_radio = [device for device in registry.found_devices.values() if device.adapter == "radio"]
    assert 8 <= len(of_radio) <= 10
    assert {key(number) for number in range(1, 6)} <= registry.found_devices.keys()


async def test_a_device_that_a_person_has_named_or_decided_about_is_never_forgotten(intake, registry):
    await intake.take_in("radio", "radio", found(1))
    await intake.take_in("radio", "radio", found(2))
    await registry.decide(key(1), Decision.IGNORE)
    await registry.rename(key(2), "the one in the hall")
    for number in range(100, 200):
        await intake.take_in("radio", "radio", found(number))
    assert {key(1), key(2)} <= registry.found_devices.keys()


async def test_where_a_person_has_decided_about_all_of_them_a_further_stranger_is_not_kept(intake, registry, caplog):
    caplog.set_level(logging.INFO)
    for number in range(10):
        await intake.take_in("radio", "radio", found(number))
        await registry.decide(key(number), Decision.IGNORE)
    caplog.clear()
    for _ in range(50):
        await intake.take_in("radio", "radio", found(500))
    assert key(500) not in registry.found_devices
    assert len(caplog.records) == 1


async def test_no_more_devices_become_children_than_an_entry_and_the_gateway_may_have(intake, registry, caplog):
    caplog.set_level(logging.INFO)
    for number in range(1, 6):
        await intake.take_in("radio", "radio", found(number, profile="p"))
    assert list(registry.children) == [key(1), key(2), key(3)]
    assert "most_children of the entry radio" in registry.found_devices[key(4)].why
    for number in range(11, 16):
        await intake.take_in("other", "bus", found(number, profile="p"))
    assert len(registry.children) == 5
    assert "most_children under [admission]" in registry.found_devices[key(13)].why
    assert len(warnings(caplog)) == len(intake.notices) == 2
    moved = replace(found(1, profile="p"), address="elsewhere")
    assert (await intake.take_in("radio", "radio", moved)).address == "elsewhere", "a child that is known stays one"


async def test_a_higher_limit_makes_the_waiting_devices_children(intake, registry):
    for number in range(1, 6):
        await intake.take_in("radio", "radio", found(number, profile="p"))
    await intake.use_policy(Policy.MATCHED, MODELS, DeviceLimits(most_children=100, most_found_devices=100))
    assert len(registry.children) == 5
    assert registry.found_devices == {}
    assert intake.notices == []


async def test_a_device_known_by_its_place_becomes_known_by_its_identity_also_at_the_limit(intake, registry):
    by_place = replace(found(1, profile="p"), identity=Identity(IdentityKind.PLACE, "radio/1"))
    for device in (by_place, found(2, profile="p"), found(3, profile="p")):
        await intake.take_in("radio", "radio", device)
    await registry.save_child(
        replace(registry.children["place:radio/1"], state=type(registry.children[key(2)].state).REGISTERED, device_id="d")
    )
    await intake.take_in("radio", "radio", found(1, profile="p"))
    assert set(registry.children) == {key(1), key(2), key(3)}
