import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from gateway.causes import Reason
from gateway.models import Found, Identity, IdentityKind
from gateway.state.records import Decision

FOUND = Found(
    address="AA:BB",
    identity=Identity(IdentityKind.MAC, "aa:bb"),
    name="Thermometer",
    profile="bthome",
    family="meter",
    sub_model="H5075",
    firmware_version="1.2.0",
)


async def test_what_a_device_does_not_say_this_time_it_has_not_unsaid(field):
    first = await field.intake.take_in("entry", "bus", FOUND)
    again = await field.intake.take_in("entry", "bus", replace(FOUND, sub_model=None, firmware_version=None, address="CC:DD"))
    assert again == replace(first, address="CC:DD")


async def test_what_a_device_says_anew_is_believed(field):
    await field.intake.take_in("entry", "bus", FOUND)
    assert (await field.intake.take_in("entry", "bus", replace(FOUND, firmware_version="1.3.0"))).firmware_version == "1.3.0"


async def test_under_another_profile_nothing_of_the_old_one_is_kept(field):
    await field.intake.take_in("entry", "bus", FOUND)
    assert (await field.intake.take_in("entry", "bus", replace(FOUND, profile="xiaomi", sub_model=None))).sub_model is None


async def test_a_declined_device_is_written_down_once_however_strongly_it_is_heard(field):
    stranger = replace(FOUND, family="toaster")
    await field.intake.take_in("entry", "bus", replace(stranger, evidence={"rssi": "-60 dBm"}))
    before = field.registry.found_devices[FOUND.identity.key]
    await field.intake.take_in("entry", "bus", replace(stranger, evidence={"rssi": "-70 dBm"}))
    assert field.registry.found_devices[FOUND.identity.key] is before


async def test_a_device_that_two_radios_hear_stays_with_the_first_and_is_no_twin_of_itself(field, caplog):
    first = await field.intake.take_in("entry", "hci0", FOUND)
    field.availability.record_answer(first.key, datetime.now(UTC))
    assert await field.intake.take_in("entry", "hci1", FOUND) is None
    assert field.registry.children[first.key].child.bus == "hci0"
    assert "same identity" not in caplog.text
    field.availability.record_loss(first.key, datetime.now(UTC), Reason("hci0 hears it no more"))
    assert (await field.intake.take_in("entry", "hci1", FOUND)).bus == "hci1"


async def test_another_device_with_the_same_identity_is_left_out_and_told(field, caplog):
    first = await field.intake.take_in("entry", "bus", FOUND)
    field.availability.record_answer(first.key, datetime.now(UTC))
    assert await field.intake.take_in("entry", "other bus", replace(FOUND, address="CC:DD")) is None
    assert "same identity" in caplog.text


async def test_a_device_that_is_met_twice_in_the_same_moment_is_told_once(field, caplog):
    caplog.set_level("INFO")
    first, second = await asyncio.gather(*(field.intake.take_in("entry", "bus", FOUND) for _ in range(2)))
    assert first == second
    assert caplog.text.count("a new child") == 1


async def test_a_name_that_a_person_gave_outranks_what_the_next_search_finds(field):
    child = await field.intake.take_in("entry", "bus", FOUND)
    await field.registry.rename(child.key, "Cold store")
    again = await field.intake.take_in("entry", "bus", replace(FOUND, name="Fridge of the config", address="CC:DD"))
    assert (again.name, again.found_as, again.address) == ("Cold store", "Fridge of the config", "CC:DD")
    unknown_model = await field.intake.take_in("entry", "bus", replace(FOUND, family="toaster"))
    assert unknown_model.name == "Cold store"
    await field.registry.rename(child.key, None)
    assert (await field.intake.take_in("entry", "bus", FOUND)).name == "Thermometer"


async def test_a_device_named_at_the_door_keeps_its_name_when_a_person_admits_it(field):
    key = FOUND.identity.key
    await field.registry.add_found("entry", "bus", FOUND, "waits for an operator")
    await field.registry.rename(key, "Cold store")
    await field.registry.decide(key, Decision.ADMIT)
    await field.intake.admit_approved()
    assert field.registry.children[key].child.name == "Cold store"
    assert not field.registry.found_devices


async def test_a_duplicate_on_the_same_bus_is_ignored_and_logged_once(field, caplog):
    first = await field.intake.take_in("entry", "bus", FOUND)
    field.availability.record_answer(first.key, datetime.now(UTC))
    for _ in range(3):
        assert await field.intake.take_in("entry", "bus", replace(FOUND, address="CC:DD")) is None
    assert field.registry.children[first.key].child.address == "AA:BB"
    assert caplog.text.count("same identity") == 1


BEACON = replace(FOUND, name="iBeacon 00BB", profile="ibeacon", family="beacon", sub_model="iBeacon", is_generic=True)


async def test_a_child_that_was_a_beacon_stays_the_same_child_when_it_shows_what_it_is(field):
    first = await field.intake.take_in("entry", "bus", replace(BEACON, family=FOUND.family))
    now = await field.intake.take_in("entry", "bus", FOUND)
    assert (now.key, now.address, now.model_id) == (first.key, first.address, first.model_id)
    assert (now.profile, now.sub_model, now.family) == ("bthome", "H5075", "meter")


async def test_a_known_child_is_no_beacon_because_it_also_sends_what_beacons_send(field):
    first = await field.intake.take_in("entry", "bus", FOUND)
    assert await field.intake.take_in("entry", "bus", BEACON) == first
    moved = await field.intake.take_in("entry", "bus", replace(BEACON, address="CC:DD"))
    assert moved == replace(first, address="CC:DD")


async def test_a_beacon_that_is_found_again_brings_its_new_facts(field):
    beacon = replace(BEACON, family=FOUND.family)
    await field.intake.take_in("entry", "bus", beacon)
    assert (await field.intake.take_in("entry", "bus", replace(beacon, firmware_version="9"))).firmware_version == "9"


async def test_a_child_becomes_what_it_is_although_its_new_family_has_no_model(field, caplog):
    first = await field.intake.take_in("entry", "bus", replace(BEACON, family="meter"))
    climate = replace(FOUND, family="climate-sensor")
    for _ in range(3):
        now = await field.intake.take_in("entry", "bus", climate)
    assert (now.key, now.model_id) == (first.key, first.model_id)
    assert (now.profile, now.sub_model, now.family) == ("bthome", "H5075", "climate-sensor")
    assert await field.intake.take_in("entry", "bus", replace(BEACON, family="meter")) == now
    assert caplog.text.count("add to [models]: climate-sensor = ") == 1
    assert "stays registered under the model m-1" in caplog.text
