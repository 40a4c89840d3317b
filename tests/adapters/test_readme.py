"""What adapters/README.md shows an author is true."""

import re
from pathlib import Path

import pytest

from adapters.ble.profile.library import parse as parse_ble
from adapters.modbus.profile.library import parse as parse_modbus
from adapters.serial.profile.library import parse as parse_serial

README = Path(__file__).parents[2] / "adapters" / "README.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("name", "parse"), [("eastron-sdm120", parse_modbus), ("acme-probe", parse_ble), ("acme-matrix", parse_serial)]
)
def test_the_profile_that_is_shown_is_one(name, parse):
    (text,) = [example for example in EXAMPLES if f'name = "{name}"' in example]
    profile = parse(text, Path(f"{name}.toml"))
    assert profile.intervals
