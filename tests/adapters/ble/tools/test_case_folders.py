"""Case folders of Bluetooth profiles outside the source tree: what differs, and mistakes in their files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from adapters.ble.tools.workbench import BleWorkbench
from gateway.adapter import ProfileProblems

README = Path(__file__).parents[4] / "adapters" / "README.md"
CASES = Path(__file__).parents[1] / "cases"
THINGY = "nordic-thingy52/button-held-and-light-green"
JK = "jk-bms/firmware-11"
PROBE = "acme-probe/dry-soil"


@pytest.fixture
def folder_of(tmp_path):
    """Return a copy of the case folder of a built-in profile, or that of the README."""
    for name, text in re.findall(r"```toml\n# bluetooth/(\S+\.toml)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def copied(case):
        folder = tmp_path / "cases" / case
        if not folder.exists():
            shutil.copytree(CASES / case, folder)
        return folder

    return copied


@pytest.fixture(scope="module")
def workbench():
    return BleWorkbench()


@pytest.fixture
def run(workbench, tmp_path):
    return lambda folder: workbench.run_case(folder, [tmp_path / "profiles"])


def change(file, right, wrong):
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("case", "file", "right", "wrong", "differences"),
    [
        (PROBE, "device", "SP2-0117", "SP3-0117", [("found profile", "'acme-probe'", "nothing")]),
        (PROBE, "device", 'payload = "7d00"', 'payload = "7e00"', [("reading moisture", "12.5", "12.6")]),
        (PROBE, "device", ', payload = "7d00"', "", [("reading moisture", "12.5", "nothing")]),
        (PROBE, "device", "text:1.4", "text:1.5", [("fact firmware_version", "'1.4'", "'1.5'")]),
        (PROBE, "expected", 'battery = "<none>"', "", [("reading battery", "nothing", "no value")]),
        (PROBE, "expected", "[facts]", 'writes = ["2a06: 01"]\n[facts]', [("writes", "2a06: 01", "nothing")]),
        (THINGY, "expected", "button = true", "button = 1", [("reading button", "1", "true")]),
        (THINGY, "expected", 'writes = "00"', 'writes = "01"', [("command light_off writes", "'01'", "'00'")]),
        (THINGY, "expected", 'name = "light_off"', 'name = "light"', [("command light", "it is executed", "no command")]),
        (THINGY, "expected", 'obeyed = "00"', 'obeyed = "01"', [("command light_off: obeyed", "the result is accepted", "")]),
        (
            THINGY,
            "expected",
            'refused = "0100ff00"',
            'refused = "00"',
            [("command light_off: refused", "the result is a failure", "")],
        ),
        (THINGY, "expected", 'refused = "0100ff00"\n', "", [("command light_off: refused", "the bytes that", "nothing")]),
    ],
)
async def test_what_differs_is_told_with_what_is_expected(folder_of, run, case, file, right, wrong, differences):
    folder = folder_of(case)
    assert (await run(folder)).differences == []
    change(folder / f"{file}.toml", right, wrong)
    got = (await run(folder)).differences
    assert len(got) == len(differences), got
    for one, (what, expected, came) in zip(got, differences, strict=True):
        assert one.what == what
        assert expected in one.expected
        assert came in one.got


async def test_a_damaged_answer_is_told_and_confirms_no_profile(folder_of, run):
    folder = folder_of(JK)
    assert (await run(folder)).differences == []
    change(folder / "device.toml", "55aaeb9003a34a4b", "55aaeb9003a34a4c")
    got = {one.what: one for one in (await run(folder)).differences}
    assert "1 damaged" in got["answer information"].got
    assert got["confirmed profile"].got == "nothing"
    assert got["fact model"].got == "nothing"


async def test_an_answer_to_a_request_that_the_profile_lacks_is_told(folder_of, run):
    folder = folder_of(PROBE)
    with (folder / "device.toml").open("a", encoding="utf-8") as file:
        file.write('[answers]\nstate = "00"\n')
    (one,) = (await run(folder)).differences
    assert (one.what, one.expected) == ("answer state", "a request of the profile")


async def test_a_device_that_a_person_names_needs_no_advertisement(folder_of, run, tmp_path):
    folder = folder_of(PROBE)
    change(tmp_path / "profiles" / "acme-probe.toml", "[[match]]                                  # its", "# its")
    change(tmp_path / "profiles" / "acme-probe.toml", 'name = "SP2-.*"', "")
    with pytest.raises(ProfileProblems, match="`configured = true`"):
        await run(folder)
    change(folder / "device.toml", "# configured = true", "configured = true")
    change(folder / "device.toml", "[advertisement]", "[services.fe95]\n#")
    change(folder / "device.toml", 'name = "SP2-0117"', "")
    assert (await run(folder)).differences == []


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        ("device", "origin =", "orign =", r"device\.toml:1: orign: no such key\. Did you mean 'origin'\?"),
        ("device", 'name = "SP2', 'named = "SP2', r"device\.toml:\d+: advertisement\.named: no such key"),
        ("device", 'name = "SP2-0117"', "name = 117", r"device\.toml:\d+: advertisement\.name: .*117"),
        ("device", '"ff" ', '"f" ', r"device\.toml:\d+: services\.180f\.2a19.*'f' is not a sequence of bytes"),
        ("device", '"7d00"', '"7d0g"', r"device\.toml:\d+: .*'7d0g' is not a sequence of bytes"),
        ("device", 'uses = ["read", "notify"]', 'uses = ["reads"]', r"device\.toml:\d+: .*uses.*'read'"),
        ("device", "payload =", "payloads =", r"device\.toml:\d+: .*payloads: no such key"),
        ("device", "2a19 =", "2a1 =", r"device\.toml:\d+: .*'2a1' is not a uuid"),
        (
            "device",
            "# manufacturer_data = { 2917",
            "manufacturer_data = { 0x2917",
            r"device\.toml:\d+: .*'0x2917' is no company id",
        ),
        ("device", "[advertisement]", "[advertisements]", r"device\.toml:\d+: advertisements: no such key"),
        ("expected", "[readings]", "[reading]", r"expected\.toml:\d+: reading: no such key\. Did you mean 'readings'\?"),
        ("expected", "sub_model =", "submodel =", r"expected\.toml:\d+: facts\.submodel: no such key"),
        ("expected", "moisture = 12.5", "moisture = [12.5]", r"expected\.toml:\d+: readings\.moisture"),
        ("expected", "[facts]", 'writes = "01"\n[facts]', r"expected\.toml:\d+: writes"),
        (
            "expected",
            "[facts]",
            '[[commands]]\nname = "a"\nwrites = "1"\n[facts]',
            r"expected\.toml:\d+: .*'1' is not a sequence",
        ),
    ],
)
async def test_a_mistake_of_a_case_is_told_with_its_line_in_words_about_the_file(folder_of, run, file, right, wrong, told):
    folder = folder_of(PROBE)
    change(folder / f"{file}.toml", right, wrong)
    with pytest.raises(ProfileProblems) as refused:
        await run(folder)
    lines = str(refused.value).splitlines()
    assert len(lines) == 1, lines
    assert re.search(told, lines[0]), lines
    assert not re.search("permitted|pydantic|Input should|union|valid (string|list|tuple)", lines[0])


async def test_a_case_without_a_device_or_an_advertisement_is_told(folder_of, run):
    folder = folder_of(PROBE)
    change(folder / "device.toml", "[advertisement]", "[services.fe95]\n#")
    change(folder / "device.toml", 'name = "SP2-0117"', "")
    with pytest.raises(ProfileProblems, match="`advertisement` is missing"):
        await run(folder)
    (folder / "device.toml").unlink()
    with pytest.raises(ProfileProblems, match=r"device\.toml: cannot be read: there is no such file"):
        await run(folder)


async def test_a_case_of_an_unknown_profile_names_those_that_are_alike(folder_of, run):
    folder = folder_of(PROBE)
    other = folder.parents[1] / "acme-prob" / "dry-soil"
    shutil.copytree(folder, other)
    with pytest.raises(ProfileProblems, match="acme-probe"):
        await run(other)
