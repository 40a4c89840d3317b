"""`xyte-gateway profile new` at a terminal: a real pty, at which a person answers one question after the other."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from adapters.modbus.tools.drafts import draft
from gateway.adapter import Dump, Found, Identity, IdentityKind

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")


@pytest.fixture
def answer_questions(tmp_path):
    """Run `xyte-gateway` at a terminal in an empty folder, and type each answer once its question is there.

    Returns the exit code and all that the terminal showed.
    """

    async def run(*arguments, answers):
        master, slave = os.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200", "NO_COLOR": "1"}
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=tmp_path
        )
        os.close(slave)
        shown, since = "", ""
        try:
            async with asyncio.timeout(100):
                with contextlib.suppress(OSError):  # the process has ended
                    for question, typed in [*answers, (None, "")]:
                        while question is None or question not in since:
                            received = (await asyncio.to_thread(os.read, master, 65536)).decode(errors="replace")
                            shown, since = shown + received, since + received
                        since = ""
                        os.write(master, typed.encode())
                return await process.wait(), shown
        finally:
            os.close(master)
            if process.returncode is None:
                process.kill()
                await process.wait()

    return run


ASKED = [
    ("What people call the device", "Acme X1\n"),
    ("Maker", "Acme\n"),
    ("Family", "power meter\n"),
    ("The maker's document", "Acme X1 manual\n"),
    ("Its edition or date", "\n"),
]


TABLE = "Register\tName\tType\tUnit\tFactor\n40001\tVoltage L1\tU16\tV\t0,1\n40002\tPower\tS16\tW\t\n\n"


async def test_a_person_is_asked_for_all_that_is_missing_and_pastes_the_table(answer_questions, tmp_path):
    code, shown = await answer_questions(
        "profile", "new",
        answers=[
            *ASKED,
            ("How its addresses count", "modbus\n"),
            ("answer protocol, one-based or modicon", "modicon\n"),
            ("An empty line ends it", "Name;Unit\nVoltage;V\n\n"),
            ("An empty line ends it", TABLE),
        ],
    )  # fmt: skip
    assert "no column is the address of a register" in shown
    assert (code, "acme-x1.toml: 2 points" in shown) == (0, True), shown
    assert "Run its cases: xyte-gateway profile test cases --profiles ." in shown
    text = (tmp_path / "acme-x1.toml").read_text(encoding="utf-8")
    for line in ('maker = "Acme"', 'family = "power-meter"', 'edition = "unknown"', 'metric = "voltage_l1"', "scale = 0.1"):
        assert line in text
    assert "voltage_l1 = 10.1" in (tmp_path / "cases/acme-x1/first/expected.toml").read_text(encoding="utf-8")


async def test_a_draft_of_a_scan_is_completed_by_the_interview(answer_questions, type_in, tmp_path):
    identity = Identity(IdentityKind.PLACE, "plant/bus/unit-5")
    found = Found(
        address="5", identity=identity, name="Modbus device", manufacturer="ACME Ltd", model="X-1", evidence={"asked": "ACME Ltd"}
    )
    made = draft(found, Dump(cells={"input": {0: 0x4366, 1: 0x199A, 7: 0xFFF6}, "holding": dict.fromkeys(range(40), 5)}))
    (tmp_path / "scanned.toml").write_text(made.text, encoding="utf-8")
    code, shown = await answer_questions("profile", "new", "--from", "scanned.toml", answers=ASKED)
    assert (code, "acme-x1.toml: 32 points" in shown) == (0, True), shown
    text = (tmp_path / "acme-x1.toml").read_text(encoding="utf-8")
    assert 'name = "acme-x1"\nmaker = "Acme"\ntitle = "Acme X1"\nfamily = "power-meter"\n\n[source]\ndocument = "Acme' in text
    assert 'identification = { vendor = "ACME Ltd", product = "X-1" }' in text
    assert "Describe the device" not in text
    device = (tmp_path / "cases/acme-x1/first/device.toml").read_text(encoding="utf-8")
    assert '[input]\n0 = "4366 199a"\n7 = "fff6"\n' in device
    (tmp_path / "scanned.toml").unlink()
    code, out, err = await type_in("profile", "test", "cases", "--profiles", ".")
    assert (code, "1 of 1 cases passed" in out) == (0, True), (out, err)


async def test_a_draft_that_is_none_is_refused(type_in, tmp_path):
    facts = ("--title", "Acme X1", "--family", "power-meter", "--document", "manual")
    (tmp_path / "other.toml").write_text("[gateway]\nname = 1\n", encoding="utf-8")
    code, _, err = await type_in("profile", "new", *facts, "--from", "other.toml")
    assert code == 2
    assert "it is no draft of a scan" in err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other.toml"]


async def test_line_and_end_mark_of_a_serial_device_are_asked_for(answer_questions, tmp_path):
    facts = ("--title", "Acme X3", "--maker", "", "--family", "display", "--document", "manual", "--edition", "2")
    code, shown = await answer_questions(
        "profile", "new", "serial", *facts,
        answers=[
            ("How the serial line is set", "9600 8N1\n"),
            ("What ends each message", "\\r\n"),
            ("An empty line ends it", "ask;answer;name\nPWR?;PWR={power:d};Power\nVOL?;VOL=;Volume\n\n"),
        ],
    )  # fmt: skip
    assert (code, "acme-x3.toml: 1 points" in shown) == (1, True), shown
    assert "left out: line 3: its answer has no field" in shown
    text = (tmp_path / "acme-x3.toml").read_text(encoding="utf-8")
    assert 'line = "9600 8N1"' in text
    assert "end = '\\r'" in text
    assert "maker" not in text.partition("[source]")[0]
