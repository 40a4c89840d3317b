"""Conversations on a real port, with a simulated device at its other end."""

import asyncio

import pytest

from adapters.serial.framing.formats import LineFraming
from adapters.serial.framing.framer import framer_for
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from adapters.serial.profile.conversation_settings import ConversationSettings
from adapters.serial.session.conversation import Conversation
from gateway.adapter import BusUnavailable, DeviceUnreachable
from gateway.testing.serial import ScriptedDevice, SerialFaults, SerialLine

SHORT_SECONDS = 0.05
GENEROUS_SECONDS = 20.0
"""Nothing takes so long but on a machine that is busy with something else."""

LINES = LineFraming(kind="delimiter", end=("\r",))


def conversation_on(port, *, echo=False):
    return Conversation(port, framer_for(LINES), ConversationSettings(echo=echo, late_answer_seconds=0.05))


@pytest.mark.parametrize(
    "faults",
    [SerialFaults(), SerialFaults(one_byte_at_a_time=True), SerialFaults(noise=b"\xff\0\r"), SerialFaults(late_seconds=0.1)],
    ids=["healthy", "byte by byte", "noise", "slow"],
)
@pytest.mark.parametrize("echoes", [False, True])
async def test_a_device_on_a_real_port_is_understood_despite_faults(faults, echoes):
    device = ScriptedDevice(lambda question: question.replace(b"?", b"=1") + b"\r", end=b"\r")
    device.faults = faults
    async with SerialLine(device) as line:
        line.echoes = echoes
        port = Port(line.port)
        await port.open(LineSettings(baudrate=115200))
        async with conversation_on(port, echo=echoes) as conversation:
            for request in (b"A?\r", b"B?\r"):
                answer = await conversation.ask(request, lambda frame: b"=" in frame.payload, GENEROUS_SECONDS)
                assert answer.payload == request[:1] + b"=1"
        await port.close()


@pytest.mark.parametrize(
    "faults", [SerialFaults(silent=True), SerialFaults(truncated=True), SerialFaults(deaf=True)], ids=["silent", "half", "deaf"]
)
async def test_a_device_that_cannot_answer_is_unreachable_and_then_answers_again(faults):
    device = ScriptedDevice(lambda question: question + b"=1\r", end=b"\r")
    device.faults = faults
    async with SerialLine(device) as line:
        port = Port(line.port)
        await port.open(LineSettings(baudrate=115200))
        async with conversation_on(port) as conversation:
            with pytest.raises(DeviceUnreachable):
                await conversation.ask(b"A\r", lambda frame: frame.payload == b"A=1", SHORT_SECONDS)
            await asyncio.sleep(0.12)
            device.faults = SerialFaults()
            assert (await conversation.ask(b"B\r", lambda frame: frame.payload == b"B=1", GENEROUS_SECONDS)).payload == b"B=1"
        await port.close()


async def test_a_request_on_an_unplugged_port_ends_at_once():
    async with SerialLine(ScriptedDevice()) as line:
        port = Port(line.port)
        await port.open(LineSettings(baudrate=115200))
        async with conversation_on(port) as conversation:
            asking = asyncio.create_task(conversation.ask(b"A\r", lambda frame: True, GENEROUS_SECONDS))
            await asyncio.sleep(0.02)
            line.unplug()
            with pytest.raises(BusUnavailable, match="unplugged"):  # else it would be DeviceUnreachable, after its time
                await asking
        await port.close()
