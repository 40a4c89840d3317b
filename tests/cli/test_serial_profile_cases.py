"""`xyte-gateway profile test`: case folders of serial profiles outside the source tree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "adapters" / "README.md"
RUN = ("profile", "test", "serial/cases", "--profiles", "serial/profiles")


@pytest.fixture
def example(tmp_path):
    """Write the files that adapters/README.md shows of a serial device; returns the folder of the case."""
    for name, text in re.findall(r"```toml\n# (serial/\S+\.toml)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / "serial" / "cases" / "acme-matrix" / "third-input"


def change(file, right, wrong):
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong), encoding="utf-8")


async def differences(type_in):
    code, out, _ = await type_in(*RUN, "--json")
    (case,) = json.loads(out)["cases"]
    assert (code, case["result"]) == (1, "differs"), out
    return {one["what"]: (one["expected"], one["got"]) for one in case["differences"]}


async def test_the_case_folder_that_the_readme_shows_passes(example, type_in):
    code, out, err = await type_in(*RUN)
    assert (code, err) == (0, "")
    assert f"acme-matrix/{example.name}: 7 comparisons" in out
    assert "1 of 1 cases passed" in out


@pytest.mark.parametrize(
    ("file", "right", "wrong", "what", "expected", "got"),
    [
        ("expected", "input = 3", "input = 4", "reading input", "4", "3"),
        ("expected", "input = 3", "volume = 3", "reading volume", "3", "nothing"),
        ("expected", '"likely"', '"certain"', "found confidence", "'certain'", "'likely'"),
        ("expected", 'serial_number = "4711"', "", "found serial_number", "nothing", "'4711'"),
        ("expected", "sends = 'IN=2", "sends = 'IN=9", "command set_input: sends", r"IN=9\r\n", r"IN=2\r\n"),
        ("expected", "obeyed = 'IN=2", "obeyed = 'OUT=2", "command set_input: obeyed", "one frame with an answer", "no answer"),
        ("expected", "\nshown = 'IN=2", "\nshown = 'IN=3", "command set_input: shown", "it proves the effect", "reads back as 3"),
        ("expected", "not_shown = 'IN=3", "not_shown = 'IN=2", "command set_input: not_shown", "no effect", "proves the effect"),
        ("expected", "{ input = 2 }", "{ input = 9 }", "command set_input", "it is executed", "9"),
        ("expected", "[[commands]]", '[refused]\ninput = "busy"\n[[commands]]', "refused input", "busy", "it is not refused"),
        ("expected", "[[commands]]", '[units]\ninput = "V"\n[[commands]]', "unit input", "'V'", "no value"),
        ("device", "SN4711", "4711", "found profile", "'acme-matrix'", "'none that fits'"),
    ],
)
async def test_what_differs_is_told_with_what_is_expected(example, type_in, file, right, wrong, what, expected, got):
    change(example / f"{file}.toml", right, wrong)
    told = await differences(type_in)
    assert what in told, told
    assert expected in told[what][0]
    assert got in told[what][1]


async def test_a_case_of_a_profile_without_match_is_run_as_configured(example, type_in, tmp_path):
    change(tmp_path / "serial" / "profiles" / "acme-matrix.toml", "[[match]]", "[[matches]]")
    profile = tmp_path / "serial" / "profiles" / "acme-matrix.toml"
    profile.write_text(re.sub(r'\[\[matches\]\].*\nask = "who"\n', "", profile.read_text("utf-8")), encoding="utf-8")
    code, out, _ = await type_in(*RUN)
    assert (code, "`configured = true`" in out) == (2, True), out
    change(example / "device.toml", "# configured = true", "configured = true")
    code, out, _ = await type_in(*RUN)
    assert (code, "1 of 1 cases passed" in out) == (0, True), out


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        ("device", "origin =", "orgin =", "device.toml:1: orgin: no such key. Did you mean 'origin'?"),
        ("device", "[answers]", "address = true\n[answers]", "device.toml:6: address: has to be"),
        ("device", "# talks = ['IN=3", r"talks = ['IN=\q", r"device.toml:4: talks.0: `\q` is unknown"),
        ("device", "'IN?", r"'IN\q", r"`\q` is unknown"),
        ("expected", '"likely"', '"sure"', "expected.toml:1: confidence: has to be"),
        ("expected", "[readings]", "[reading]", "expected.toml:8: reading: no such key. Did you mean 'readings'?"),
        ("expected", "model =", "kind =", "expected.toml:5: facts.kind: no such key"),
        ("expected", '"set_input"', '"set_imput"', "expected.toml:15: command `set_imput`.name: there is no command 'set_imput'"),
        ("expected", "# [refused]", '[refused]\ninputs = "busy"\n#', "there is no query 'inputs'"),
        ("expected", "not_shown =", "# not_shown =", "needs `not_shown`, too"),
        ("expected", "sends = 'IN=2", r"sends = 'IN=\q", r"expected.toml:17: command `set_input`.sends: `\q` is unknown"),
    ],
)
async def test_a_mistake_of_a_case_is_told_in_words_about_the_file(example, type_in, file, right, wrong, told):
    change(example / f"{file}.toml", right, wrong)
    code, out, _ = await type_in(*RUN)
    assert code == 2, out
    assert told in out, out
    assert not re.search("permitted|pydantic|Traceback|validat", out)


async def test_bytes_of_a_binary_profile_are_hexadecimal_digits(example, type_in, tmp_path):
    folder = tmp_path / "serial" / "cases" / "samsung-mdc" / "display"
    folder.mkdir(parents=True)
    (folder / "device.toml").write_text('origin = "a log of a display"\n[answers]\n"AA 1" = "AA"\n', encoding="utf-8")
    (folder / "expected.toml").write_text('confidence = "likely"\n[readings]\n', encoding="utf-8")
    code, out, _ = await type_in("profile", "test", str(folder))
    assert code == 2
    assert "device.toml:3: answers.AA 1: 'AA 1' is not a sequence of bytes: write pairs of hexadecimal digits" in out


async def test_a_profile_that_is_not_there_is_told(example, type_in):
    code, out, _ = await type_in("profile", "test", "serial/cases")
    assert (code, "acme-matrix: there is no such profile" in out) == (2, True), out
