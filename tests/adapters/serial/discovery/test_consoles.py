"""Prompts of computers, boot loaders, routers and modems are recognized, and answers of devices are none."""

import random
import tomllib
from pathlib import Path

import pytest

from adapters.serial.discovery.consoles import console_in
from adapters.serial.discovery.probing import ProtocolProbe
from adapters.serial.framing.notation import hex_bytes, text_bytes
from adapters.serial.profile.library import PROFILE_FILES

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()

LOG_IN, BOOT, SHELL = "a log-in prompt of a computer", "the prompt of a boot loader", "the prompt of a shell"
ROUTER, INTERPRETER, KERNEL = "the prompt of a router or switch", "the prompt of an interpreter", "the console of a kernel"

CONSOLES = [
    (LOG_IN, b"\r\nDebian GNU/Linux 12 raspberrypi ttyS0\r\n\r\nraspberrypi login: "),
    (LOG_IN, b"ka 01 FF\r\nPassword: "),
    (LOG_IN, b"\r\nttyS0 login: "),
    (LOG_IN, b"login: "),
    (LOG_IN, b"\r\nUser Access Verification\r\nRackX_12 login: "),
    (ROUTER, b"http://www.opensource.org/licenses/lgpl-2.1.php\r\nRackX_12# "),
    (LOG_IN, b"\r\n\r\nUser Access Verification\r\n\r\nUsername: "),
    (LOG_IN, b"\r\n\x1b[1muser name:\x1b[0m "),
    (LOG_IN, b"\r\nLogin incorrect\r\nedge-07 login: "),
    (LOG_IN, b"\r\n[sudo] password for pi: "),
    (SHELL, b"N: command not found\r\nroot@openwrt:/# "),
    (SHELL, b"\r\npi@raspberrypi:~ $ "),
    (SHELL, b"\x1b]0;pi@host: ~\x07\x1b[01;32mpi@host\x1b[00m:\x1b[01;34m~\x1b[00m$ "),
    (SHELL, b"\r\n[root@edge ~]# "),
    (SHELL, b"ka: not found\r\n/ # "),
    (SHELL, b"sh: ka: not found\r\n# "),
    (SHELL, b"\r\n(initramfs) "),
    (BOOT, b"Unknown command 'ka' - try 'help'\r\n=> "),
    (BOOT, b"\r\nU-Boot> "),
    (BOOT, b"\r\ngrub> "),
    (BOOT, b"\r\nrommon 1 > "),
    (INTERPRETER, b'  File "<stdin>", line 1\r\nSyntaxError: invalid syntax\r\n>>> '),
    (ROUTER, b"\r\nRouter>"),
    (ROUTER, b"% Invalid input detected at '^' marker.\r\n\r\ncore-sw-1#"),
    (ROUTER, b"\r\nSwitch(config-if)#"),
    (ROUTER, b"\r\n<HUAWEI>"),
    (ROUTER, b"\r\n[admin@MikroTik] > "),
    (KERNEL, b"[    0.000000] Booting Linux on physical CPU 0x0\r\n[    0.000000] Linux version 6.1.0\r\n"),
    ("a modem", b"ATI\r\r\nERROR\r\n"),
    ("a modem", b"\r\nNO CARRIER\r\n"),
    ("a modem", b"\r\n+CREG: 0,1\r\n"),
]

NO_CONSOLES = [
    b"", b"\x00\xff", b">", b"> ", b"\r\n>", b":", b"60-1238-01\r\n", b"a 01 OK01x", b"PJLINK 1 498e4a67\r", b"%1POWR=1\r",
    b"*IDN?\n", b"ka 01 FF\r", b"power=on # main\r\n", b"temp: 21.5 #\r\n", b"$GPGGA,123519,", b"S S     100.00 g\r\n",
    b"login=7\r\n", b">*pow=?#\r\r\n*POW=OFF#\r\n", b"%1CLSS=Class 1\r", b"OK\r\n", b"ERROR\r\n",
    b"#", b"$", b"A>", b"=>", b"\x91\xc3#", b"\xff\x00\r\x8e\x03x#", b"last login: 12:00\r\n", b"login: admin\r",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "received"), CONSOLES, ids=[str(at) for at in range(len(CONSOLES))])
def test_a_console_is_recognized_by_what_is_before_its_cursor(kind, received):
    assert console_in(received).kind == kind
    assert console_in(b"\r\nmore before\r\n" * 200 + received).kind == kind


@pytest.mark.parametrize("received", NO_CONSOLES)
def test_the_prompt_or_answer_of_a_device_is_no_console(received):
    assert console_in(received) is None


def test_bytes_received_at_a_wrong_speed_look_like_a_console_once_in_thousands():
    draw = random.Random(7)
    pieces = [bytes(draw.randrange(256) for _ in range(size)) for size in (1, 2, 3, 5, 10, 40) for _ in range(4000)]
    assert sum(console_in(piece) is not None for piece in pieces) <= 5


def test_the_prompt_of_a_profile_is_no_console():
    assert console_in(b"\r\nMATRIX>") is not None
    assert console_in(b"\r\nMATRIX> ", [b"MATRIX>"]) is None
    assert console_in(b"\r\nUser Name: ", [b"Name: "]) is None
    assert console_in(b"\r\nlogin: ", [b"", b" "]) is not None


PROMPTS_OF_CASES = (b"QNET>", b"GNET>")
"""Prompts behind an answer that is understood: only what is not understood is looked at for consoles."""


def test_no_recorded_answer_of_a_device_looks_like_a_console():
    checked = 0
    for file in CASES.glob("*/*/device.toml"):
        device, read = tomllib.loads(file.read_text("utf-8")), text_bytes
        if PROFILES[file.parents[1].name].notation == "binary":
            read = hex_bytes
        for written in [*device.get("answers", {}).values(), *device.get("talks", [])]:
            checked += 1
            assert console_in(read(written), PROMPTS_OF_CASES) is None, (file, written)
    assert checked > 100


def interviewed(received):
    """The result of an interview with a console that shows this after each line, and what was sent to it."""
    run, sent = ProtocolProbe(PROFILES.values()).run(), []
    try:
        step = next(run)
        while True:
            sent.append(step.request)
            step = run.send(step.request + received if step.request.endswith(b"\r") else b"")
    except StopIteration as end:
        return end.value, sent


@pytest.mark.parametrize(("kind", "received"), CONSOLES, ids=[str(at) for at in range(len(CONSOLES))])
def test_nothing_more_is_sent_once_a_console_has_shown_itself(kind, received):
    result, sent = interviewed(received)
    assert result.console.kind == kind
    assert result.profile is None
    assert [request for request in sent if request.endswith(b"\r")] == sent[-1:], "the first line typed into it is the last"
