import pytest
from pydantic import ValidationError

from adapters.ble.settings import BleSettings

KEY = "e9ea895fac7cca6d30532432a516f3a8"


def settings(**said):
    return BleSettings.model_validate({"type": "ble", **said})


def mistakes(**said):
    with pytest.raises(ValidationError) as refused:
        settings(**said)
    return str(refused.value)


def test_no_key_is_required():
    made = settings()
    assert made.allows("A4:C1:38:00:00:01", None)
    assert list(made.claims()) == ["Bluetooth controller that is powered first"]


@pytest.mark.parametrize("written", ["a4c138123456", "A4:C1:38:12:34:56", "a4-c1-38-12-34-56"])
def test_an_address_may_be_written_with_or_without_separators(written):
    assert settings(devices=[{"address": written}]).devices[0].address == "A4:C1:38:12:34:56"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"devices": [{"address": "12:34"}]}, "is not a Bluetooth address"),
        ({"devices": [{"name": "Fridge"}]}, "exactly one of address, called, payload or irk_file"),
        ({"devices": [{"address": "a4c138123456", "called": "x"}]}, "exactly one of address, called, payload or irk_file"),
        ({"devices": [{"payload": "4c0"}]}, "not a whole number of bytes"),
        ({"devices": [{"called": "Fridge", "profile": "xiaomi-lywsd03mmx"}]}, "did you mean xiaomi-lywsd03mmc"),
        ({"devices": [{"called": "Fridge"}, {"called": "Fridge"}]}, "two devices are recognized by Fridge"),
        ({"deny": ["Kitchen"]}, 'nor a name ("name:Kitchen*")'),
        ({"controllers": ["hci 0"]}, "pattern"),
        ({"connections": 0}, "greater than or equal to 1"),
        ({"scanning": "often"}, "'active' or 'passive'"),
        ({"dead_bands": {"temperature": 0}}, "greater than 0"),
        ({"profiles": ["/nowhere"]}, "there is no such folder"),
        ({"backend": {"scanner": "nowhere:Class", "client": "nowhere:Class"}}, "nowhere"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_an_error_message_contains_the_fix(said, message):
    assert message in mistakes(**said)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"address": "a4c138123456", "bind_key": KEY[:-2]}, "bind_key of A4:C1:38:12:34:56 has to have 24 or 32"),
        ({"irk": KEY + "zz"}, "irk of the device with an irk has to have 32"),
        ({"address": "a4c138123456", "bind_key_file": "/nowhere/key"}, "/nowhere/key: No such file"),
        ({"address": "a4c138123456", "bind_key": KEY, "bind_key_file": "/x"}, "keep one of them"),
    ],
)
def test_an_unusable_key_is_reported_without_showing_it(device, message):
    said = mistakes(devices=[device])
    assert message in said
    assert KEY[:8] not in said


def test_keys_are_shown_nowhere():
    made = settings(devices=[{"address": "a4c138123456", "bind_key": KEY}, {"irk": KEY, "name": "Badge"}])
    assert KEY not in repr(made) + str(made) + str(made.model_dump()) + made.model_dump_json()


def test_a_denied_device_is_ignored_even_if_it_is_allowed():
    made = settings(allow=["A4:C1:38:*", "name:kitchen*"], deny=["A4:C1:38:00:00:01", "name:*secret*"])
    assert made.allows("A4:C1:38:00:00:02", None)
    assert made.allows("00:00:00:00:00:09", "Kitchen scale")
    assert not made.allows("A4:C1:38:00:00:01", None)
    assert not made.allows("A4:C1:38:00:00:02", "My Secret")
    assert not made.allows("00:00:00:00:00:09", None)


def test_each_named_controller_is_claimed():
    assert list(settings(controllers=["hci0", "hci1"]).claims()) == ["Bluetooth controller hci0", "Bluetooth controller hci1"]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"address": KEY}, "is not a Bluetooth address"),
        ({"address": "a4c138123456", "bind_key_file": KEY}, "No such file"),
        ({"irk_file": KEY}, "No such file"),
    ],
)
def test_a_key_in_the_wrong_place_is_not_shown_either(device, message):
    said = str(mistakes(devices=[device]))
    assert message in said
    assert KEY not in said


@pytest.mark.parametrize(("written", "digits"), [("004711", "004711"), (4711, "004711"), (0, "000000"), (999999, "999999")])
def test_a_passkey_has_six_digits_and_may_be_a_number(written, digits, tmp_path):
    device = settings(devices=[{"address": "a4c138123456", "pair": True, "passkey": written}]).devices[0]
    assert device.read_key("passkey").get_secret_value() == digits
    assert digits not in repr(device)
    (file := tmp_path / "passkey").write_text(f"{digits}\n")
    device = settings(devices=[{"address": "a4c138123456", "pair": True, "passkey_file": str(file)}]).devices[0]
    assert device.read_key("passkey").get_secret_value() == digits


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"passkey": "004711"}, "add pair = true"),
        ({"passkey_file": "/run/secrets/passkey"}, "add pair = true"),
        ({"pair": True, "passkey": "4711"}, "passkey of A4:C1:38:12:34:56 has to have 6 digits"),
        ({"pair": True, "passkey": "47 11 x"}, "passkey of A4:C1:38:12:34:56 has to have 6 digits"),
        ({"pair": True, "passkey": 4711047}, "passkey of A4:C1:38:12:34:56 has to have 6 digits"),
        ({"pair": True, "passkey": -1}, "passkey of A4:C1:38:12:34:56 has to have 6 digits"),
        ({"pair": True, "passkey": True}, "passkey"),
        ({"pair": True, "passkey": "004711", "passkey_file": "/x"}, "keep one of them"),
    ],
)
def test_a_mistake_in_a_passkey_is_told_without_the_passkey(device, message):
    told = mistakes(devices=[{"address": "a4c138123456", **device}])
    assert message in told
