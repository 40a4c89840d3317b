"""What adapters/README.md shows an author is true."""

import re
from pathlib import Path

import pytest

from adapters.ble.profile.library import PROFILE_FILES as BLE_PROFILES
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS_PROFILES
from adapters.serial.profile.library import PROFILE_FILES as SERIAL_PROFILES

README = Path(__file__).parents[2] / "adapters" / "README.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("name", "parse"),
    [("eastron-sdm120", MODBUS_PROFILES.parse), ("acme-probe", BLE_PROFILES.parse), ("acme-matrix", SERIAL_PROFILES.parse)],
)
def test_the_profile_that_is_shown_is_one(name, parse):
    (text,) = [example for example in EXAMPLES if f'name = "{name}"' in example]
    profile = parse(text, Path(f"{name}.toml"))
    assert profile.intervals
