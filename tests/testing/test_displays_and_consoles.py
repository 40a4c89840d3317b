"""The simulated LG display, Extron switcher and console answer as real ones do, byte for byte."""

import pytest

from gateway.testing.serial import Console, Display, LgDisplay, Switcher


def test_an_lg_display_answers_its_own_id_and_that_of_all():
    display = LgDisplay(5)
    assert display.receive(b"ka 05 ff\rkf 00 FF\rka 01 FF\r") == [b"a 05 OK01x", b"f 05 OK14x"]
    assert LgDisplay(1, end=b"x\r\n").receive(b"fy 01 FF\r") == [b"y 01 OK912MXNU5Y123x\r\n"]


def test_an_lg_display_that_is_off_refuses_all_but_the_power():
    display = LgDisplay()
    assert display.receive(b"ka 01 00\r") == [b"a 01 OK00x"]
    assert display.receive(b"kf 01 FF\rka 01 01\rkf 01 1E\r") == [b"f 01 NG00x", b"a 01 OK01x", b"f 01 OK1ex"]


@pytest.mark.parametrize(
    ("verbose", "answers"),
    [
        (1, [b"60-1238-01\r\n", b"1.04\r\n", b"3\r\n", b"0\r\n", b"42.00\r\n"]),
        (3, [b"Pno60-1238-01\r\n", b"Ver01-1.04\r\n", b"In3 All\r\n", b"Vmt0\r\n", b"20Stat 42.00\r\n"]),
    ],
)
def test_a_switcher_tags_its_answers_in_verbose_mode_3(verbose, answers):
    switcher = Switcher(verbose=verbose)
    assert switcher.receive(b"NQ!B\x1b20STAT\r") == answers


def test_a_switcher_executes_a_command_with_its_last_character_and_refuses_others():
    switcher = Switcher()
    assert [answer for byte in b"12!5!3B7%" for answer in switcher.receive(bytes([byte]))] == [
        b"E01\r\n", b"In5 All\r\n", b"E13\r\n", b"E10\r\n", b"E10\r\n",
    ]  # fmt: skip
    switcher.press(2)
    assert (switcher.unsolicited(), switcher.unsolicited()) == (b"In2 All\r\n", b"")


def test_a_console_echoes_asks_for_the_password_and_fails():
    console = Console()
    assert console.connected() == b"\r\nraspberrypi login: "
    assert console.receive(b"ka 01 FF\r") == [b"ka 01 FF\r\nPassword: "]
    assert console.receive(b"x\r") == [b"\r\n\r\nLogin incorrect\r\nraspberrypi login: "]
    assert console.receive(b"\r") == [b"\r\nraspberrypi login: "]
    assert console.typed == [b"ka 01 FF", b"x", b""]


def test_a_shell_has_no_password():
    assert Console(b"=> ", refusal=b"Unknown command").receive(b"ka\r") == [b"ka\r\nUnknown command\r\n=> "]


def test_a_display_may_answer_a_broadcast_with_its_own_id():
    assert Display(9, answers_broadcast=True).receive(bytes.fromhex("AA 11 FE 00 0F"))[0][2] == 9
    assert Display(9).receive(bytes.fromhex("AA 11 FE 00 0F")) == []
