"""`xyte-gateway profile test`: case folders outside the source tree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "adapters" / "README.md"
COMMAND_PROFILE = """
[[commands]]
name = "set_temperature"
metric = "temperature"
parameter = "celsius"
between = [5, 30]
"""
COMMAND = """
[[commands]]
name = "set_temperature"
parameters = { celsius = 20 }
frame = "01 06 00 11 00 c8 d8 59"
after = { temperature = 20.0 }
"""


@pytest.fixture
def example(tmp_path):
    """Write the files that adapters/README.md shows; returns the folder of the case."""
    for name, text in re.findall(r"```toml\n# (\S+\.toml)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / "cases" / "acme-x1" / "feeding-in"


def change(file, right, wrong):
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")


RUN = ("profile", "test", "cases", "--profiles", "profiles")


@pytest.mark.parametrize("folder", ["cases", "cases/acme-x1", "cases/acme-x1/feeding-in"])
async def test_the_case_folder_that_the_readme_shows_passes(example, type_in, folder):
    code, out, err = await type_in("profile", "test", folder, "--profiles", "profiles")
    assert (code, err) == (0, "")
    assert "acme-x1/feeding-in: 5 comparisons" in out
    assert "1 of 1 cases passed" in out


async def test_the_bluetooth_case_folder_that_the_readme_shows_passes(example, type_in):
    code, out, err = await type_in("profile", "test", "bluetooth/cases", "--profiles", "bluetooth/profiles")
    assert (code, err) == (0, ""), out
    assert "acme-probe/dry-soil: 7 comparisons" in out


async def test_what_differs_is_shown_beside_what_is_expected(example, type_in):
    change(example / "expected.toml", "active_power = -200", "active_power = 65336\nvoltage = 230.0")
    change(example / "expected.toml", 'temperature = "<none>"', "")
    code, out, _ = await type_in(*RUN)
    assert code == 1
    for expected in (r"active_power +65336 +-200", r"voltage +230\.0 +nothing", r"temperature +nothing +no value"):
        assert re.search(expected, out)
    code, out, _ = await type_in(*RUN, "--json")
    (case,) = json.loads(out)["cases"]
    assert (code, case["case"], case["result"]) == (1, "acme-x1/feeding-in", "differs")
    assert {"what": "reading active_power", "expected": "65336", "got": "-200"} in case["differences"]


async def test_a_device_that_no_scan_can_find_is_told_with_what_is_missing(example, type_in):
    change(example / "device.toml", "configured = true", "configured = false")
    code, out, _ = await type_in(*RUN)
    assert code == 2
    assert "`configured = true`" in out


async def test_a_command_is_compared_by_its_frame_and_by_what_is_read_back(example, type_in, tmp_path):
    with (tmp_path / "profiles" / "acme-x1.toml").open("a", encoding="utf-8") as file:
        file.write(COMMAND_PROFILE)
    with (example / "expected.toml").open("a", encoding="utf-8") as file:
        file.write(COMMAND)
    code, out, _ = await type_in(*RUN)
    assert "6 comparisons" in out, out
    assert code == 0
    change(example / "expected.toml", "00 11 00 c8", "00 12 00 c8")
    code, out, _ = await type_in(*RUN)
    assert code == 1
    assert re.search("frame +01 06 00 12 00 c8 d8 59 +01 06 00 11 00 c8 d8 59", out)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        ("device", "unit = 1", "uint = 1", "device.toml:2: uint: no such key. Did you mean 'unit'?"),
        ("device", '"ff38 7fff"', '"ff38 7ff"', "'ff38 7ff' is no sequence of registers"),
        ("device", "0x0010 =", "0x10010 =", "'0x10010' is no address"),
        ("device", "unit = 1", "unit = 1\nzeros = { holding = [0, 65536] }", "zeros.holding.1: has to be less than 65536"),
        ("expected", "[readings]", "[reading]", "reading: no such key. Did you mean 'readings'?"),
        ("expected", "family =", "kind =", "found.kind: no such key"),
    ],
)
async def test_a_mistake_of_a_case_is_told_in_words_about_the_file(example, type_in, file, right, wrong, told):
    change(example / f"{file}.toml", right, wrong)
    code, out, _ = await type_in(*RUN)
    assert code == 2
    assert told in out
    assert not re.search("permitted|pydantic|Traceback", out)


async def test_what_cannot_be_run_is_told(example, type_in, tmp_path):
    code, _, err = await type_in("profile", "test", "nowhere")
    assert (code, "there is no such folder" in err) == (2, True)
    code, _, err = await type_in("profile", "test", "profiles")
    assert (code, "there is no case in it" in err) == (2, True)
    code, out, _ = await type_in("profile", "test", "cases")
    assert (code, "name its folder with --profiles" in out) == (2, True)
    change(tmp_path / "profiles" / "acme-x1.toml", "address = 0x0010", "adress = 0x0010")
    code, out, _ = await type_in(*RUN)
    assert (code, "adress: no such key. Did you mean 'address'?" in out) == (2, True)
