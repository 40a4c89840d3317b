from dataclasses import replace

from gateway.models import Found, Identity, IdentityKind

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
    first = await field.reception.meet("entry", "bus", FOUND)
    again = await field.reception.meet("entry", "bus", replace(FOUND, sub_model=None, firmware_version=None, address="CC:DD"))
    assert again == replace(first, address="CC:DD")


async def test_what_a_device_says_anew_is_believed(field):
    await field.reception.meet("entry", "bus", FOUND)
    assert (await field.reception.meet("entry", "bus", replace(FOUND, firmware_version="1.3.0"))).firmware_version == "1.3.0"


async def test_under_another_profile_nothing_of_the_old_one_is_kept(field):
    await field.reception.meet("entry", "bus", FOUND)
    assert (await field.reception.meet("entry", "bus", replace(FOUND, profile="xiaomi", sub_model=None))).sub_model is None


async def test_a_declined_device_is_written_down_once_however_strongly_it_is_heard(field):
    stranger = replace(FOUND, family="toaster")
    await field.reception.meet("entry", "bus", replace(stranger, evidence={"rssi": "-60 dBm"}))
    before = field.registry.met[FOUND.identity.key]
    await field.reception.meet("entry", "bus", replace(stranger, evidence={"rssi": "-70 dBm"}))
    assert field.registry.met[FOUND.identity.key] is before
