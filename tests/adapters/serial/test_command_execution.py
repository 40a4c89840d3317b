"""Commands on a port: what is sent, what is read before and after, and what is told when an answer is lost."""

from __future__ import annotations

import re

import pytest

from adapters.serial import SerialAdapter
from gateway.adapter import Command, CommandRejected, CommandResult, OutcomeUnknown
from gateway.testing.serial import ScriptedDevice, SerialLine

AMPLIFIER = """
name = "amplifier"
title = "Amplifier"
family = "amplifier"
source = { document = "this test", edition = "1", section = "1" }
framing = { kind = "delimiter", end = "\\r\\n" }
talk = { timeout = 0.1, late = 0.01 }
[[refusals]]
answer = "ERR {reason}"
field = "reason"
[[queries]]
name = "volume"
ask = "V?"
answer = "V={volume:d}"
points = [{ metric = "volume", unit = "dB" }]
[[commands]]
name = "set_volume"
ask = "V={volume:d}"
answer = "OK"
parameters = { volume = { between = [0, 50] } }
read_back = "volume"
[[commands]]
name = "fade"
ask = "F={volume:d}"
answer = "OK"
parameters = { volume = { between = [0, 50] } }
read_back = "volume"
settles = 5
[[commands]]
name = "step"
ask = "S={volume:d}"
parameters = { volume = { between = [0, 50] } }
read_back = "volume"
[[commands]]
name = "blink"
ask = "B"
answer = "OK"
[[commands]]
name = "log_in"
ask = "L={password}"
answer = "OK"
parameters = { password = { characters = [1, 9], secret = true } }
"""


class Amplifier:
    """Answers as its profile says, unless `instead` has another answer to a request; `None` there is silence."""

    def __init__(self) -> None:
        self.volume = 7
        self.asked: list[str] = []
        self.instead: dict[str, str | None] = {}
        self.executes = True

    def answer(self, request: bytes) -> bytes | None:
        text = request.decode()
        self.asked.append(text)
        if self.executes and (found := re.fullmatch(r"[VS]=(\d+)", text)):
            self.volume = int(found[1])
        if text in self.instead:
            told = self.instead[text]
        elif text.startswith("S="):
            told = None
        else:
            told = f"V={self.volume}" if text == "V?" else "OK"
        return None if told is None else f"{told}\r\n".encode()


@pytest.fixture
def amplifier():
    return Amplifier()


@pytest.fixture
def on_the_port(tmp_path, amplifier):
    """Run a test with an adapter on a port with the amplifier, and with the child that it is."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "amplifier.toml").write_text(AMPLIFIER)

    async def run(test):
        device = ScriptedDevice(amplifier.answer, end=b"\r\n")
        async with SerialLine(device, link=tmp_path / "port") as line:
            settings = {"type": "serial", "profiles": [str(tmp_path / "profiles")], "ports": [{"port": line.port}]}
            adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
            async with adapter:
                amplifier.asked.clear()
                child = adapter.unregistered_child(address="amplifier", name="Amp", key="amp", profile="amplifier")
                return await test(adapter, child)

    return run


@pytest.fixture
def execute(on_the_port):
    async def run(name: str, **parameters: object) -> CommandResult:
        return await on_the_port(lambda adapter, child: adapter.execute(child, Command(1, "amp", name, parameters)))

    return run


async def test_the_effect_is_read_before_and_after_and_told(execute, amplifier):
    result = await execute("set_volume", volume=12)
    assert result == CommandResult(
        message="volume is 12 dB, was 7 dB", is_proven=True, before={"volume": 7}, after={"volume": 12}
    )
    assert amplifier.asked == ["V?", "V=12", "V?"]


async def test_a_command_without_a_metric_is_accepted_and_not_proven(execute, amplifier):
    assert await execute("blink") == CommandResult(message="Amp accepted blink")
    assert amplifier.asked == ["B"]


async def test_a_device_that_says_ok_and_does_nothing_did_not_execute_it(execute, amplifier):
    amplifier.executes = False
    with pytest.raises(CommandRejected, match="Amp did not execute set_volume: volume was to be 12, and reads back as 7"):
        await execute("set_volume", volume=12)


async def test_the_effect_may_take_time(execute, amplifier):
    reads = iter(["V=7", "V=9", None, "V=12"])
    amplifier.instead["V?"] = None
    original = amplifier.answer

    def answer(request):
        if request == b"V?":
            amplifier.instead["V?"] = next(reads)
        return original(request)

    amplifier.answer = answer
    result = await execute("fade", volume=12)
    assert (result.before, result.after, result.is_proven) == ({"volume": 7}, {"volume": 12}, True)
    assert amplifier.asked.count("F=12") == 1


@pytest.mark.parametrize("refused", ["set_volume", "fade"])
async def test_a_refusal_is_told_and_nothing_more_is_asked(execute, amplifier, refused):
    amplifier.instead |= {"V=12": "ERR locked", "F=12": "ERR locked"}
    amplifier.executes = False
    with pytest.raises(CommandRejected, match=f"Amp refuses {refused}: .*locked"):
        await execute(refused, volume=12)
    assert len(amplifier.asked) == 2


async def test_a_lost_confirmation_is_replaced_by_reading_back(execute, amplifier):
    amplifier.instead["V=12"] = None
    assert (await execute("set_volume", volume=12)).is_proven
    assert amplifier.asked == ["V?", "V=12", "V?"]
    amplifier.executes = False
    amplifier.instead["V=20"] = None
    with pytest.raises(OutcomeUnknown, match=r"set_volume was sent, and Amp did not answer: .*; volume was to be 20"):
        await execute("set_volume", volume=20)


async def test_a_lost_confirmation_without_a_metric_leaves_the_outcome_unknown(execute, amplifier):
    amplifier.instead["B"] = None
    with pytest.raises(OutcomeUnknown, match="blink was sent, and Amp did not answer"):
        await execute("blink")
    assert amplifier.asked == ["B"]


@pytest.mark.parametrize("answer", [None, "ERR busy"], ids=["silence", "refusal"])
async def test_an_effect_that_cannot_be_read_is_unknown(execute, amplifier, answer):
    amplifier.instead["V?"] = answer
    with pytest.raises(OutcomeUnknown, match="step was sent; volume could not be read back"):
        await execute("step", volume=3)
    assert amplifier.asked.count("S=3") == 1


async def test_a_device_that_never_answers_does_not_keep_the_line_until_it_has_settled(execute, amplifier):
    amplifier.instead |= {"V?": None, "F=12": None}
    with pytest.raises(OutcomeUnknown, match="fade was sent, and Amp did not answer"):
        await execute("fade", volume=12)
    assert amplifier.asked == ["V?", "F=12", "V?"]


@pytest.mark.parametrize(
    ("name", "shown", "proven"),
    [("set_volume", "V=12", "volume is 12 dB"), ("set_volume", "V=7", None), ("set_volume", "ERR no", None), ("blink", "", None)],
)
async def test_an_interrupted_command_is_proven_by_what_the_device_shows(on_the_port, amplifier, name, shown, proven):
    amplifier.instead["V?"] = shown
    command = Command(1, "amp", name, {} if name == "blink" else {"volume": 12})
    result = await on_the_port(lambda adapter, child: adapter.read_back(child, command))
    assert (None if result is None else result.message) == proven
    assert set(amplifier.asked) <= {"V?"}


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("set_volume", {"volume": 12}, r"amplifier: send 'V=12\r\n', then read volume until it is 12 dB"),
        ("fade", {"volume": 12}, r"amplifier: send 'F=12\r\n', then read volume until it is 12 dB, at most 5 s"),
        ("blink", {}, r"amplifier: send 'B\r\n'"),
        ("log_in", {"password": "sesame"}, "amplifier: send log_in, whose bytes contain a secret"),
    ],
)
async def test_what_would_be_sent_is_told_and_nothing_sent(on_the_port, amplifier, name, parameters, sentence):
    async def test(adapter, child):
        return adapter.planned_writes(child, Command(1, "amp", name, parameters))

    assert await on_the_port(test) == [sentence]
    assert amplifier.asked == []


async def test_a_secret_is_sent_and_never_told(execute, amplifier):
    assert "sesame" not in str(await execute("log_in", password="sesame"))
    assert amplifier.asked == ["L=sesame"]
    for wrong in ("sesame\r\n", "much too long", ["sesame"], 5.5):
        with pytest.raises(CommandRejected) as refused:
            await execute("log_in", password=wrong)
        assert not re.search("sesame|long|5.5", str(refused.value))
        assert amplifier.asked == []


async def test_a_secret_that_the_device_repeats_is_not_told(execute, amplifier):
    amplifier.instead["L=sesame"] = "WHAT IS sesame"
    with pytest.raises(OutcomeUnknown) as unknown:
        await execute("log_in", password="sesame")
    assert str(unknown.value) == "log_in was sent, and Amp did not answer"
