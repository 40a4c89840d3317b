"""Question and answer over a port in memory, with real framers: what is taken for an answer, and what is not."""

import asyncio

import pytest
from pydantic import SecretStr

from adapters.serial.framing.formats import LineFraming, SilenceFraming
from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.conversation_settings import ConversationSettings, LoginStep
from adapters.serial.session.conversation import Conversation
from gateway.adapter import BusUnavailable, DeviceUnreachable

SHORT, LONG = 0.05, 1.0
LINES = LineFraming(kind="delimiter", end=("\r",))
PLAIN = ConversationSettings(echo=False, late_answer_seconds=0.05)


class FakePort:
    """Takes what is written, and says what its script answers to it: at once, or when the test says so."""

    def __init__(self, script=None):
        self.written = []
        self.listener = None
        self.answers = script or {}

    def attach(self, listener):
        self.listener = listener

    async def write(self, data):
        self.written.append(data)
        for answer in self.answers.get(data, ()):
            self.says(answer)
        await asyncio.sleep(0)

    def says(self, data):
        self.listener.data_received(data)


class RecordedConversation:
    """A conversation on a fake port, and everything unsolicited that was heard."""

    def __init__(self, port, settings=PLAIN, framing=LINES, **options):
        self.port = port
        self.unsolicited = []
        self.conversation = Conversation(
            port, framer_for(framing), settings, on_unsolicited=lambda frame: self.unsolicited.append(frame.payload), **options
        )

    async def ask(self, request, answer=b"", seconds=LONG):
        frame = await self.conversation.ask(request, lambda frame: frame.payload.startswith(answer), seconds)
        return frame.payload


def begun(port, **options):
    talk = RecordedConversation(port, **options)
    port.attach(talk.conversation)
    return talk


def now():
    return asyncio.get_running_loop().time()


def soon(function, *args, seconds=0.01):
    asyncio.get_running_loop().call_later(seconds, function, *args)


# answers --------------------------------------------------------------------------------------------------------------


async def test_the_answer_is_returned_and_all_other_frames_are_passed_on():
    port = FakePort({b"POWER?\r": [b"TEMP=20\rPOW", b"ER=ON\rTEMP=21\r"]})
    talk = begun(port)
    assert await talk.ask(b"POWER?\r", b"POWER=") == b"POWER=ON"
    assert talk.unsolicited == [b"TEMP=20", b"TEMP=21"]


async def test_a_frame_before_a_request_does_not_answer_it():
    port = FakePort()
    talk = begun(port)
    port.says(b"POWER=OFF\r")
    soon(port.says, b"POWER=ON\r")
    assert await talk.ask(b"POWER?\r", b"POWER=") == b"POWER=ON"
    assert talk.unsolicited == [b"POWER=OFF"]


async def test_silence_is_reported_after_the_time_limit():
    talk = begun(FakePort())
    begun_at = now()
    with pytest.raises(DeviceUnreachable, match=r"no answer within 0.05 s$"):
        await talk.ask(b"POWER?\r", b"POWER=", SHORT)
    assert now() - begun_at == pytest.approx(SHORT)


async def test_frames_other_than_the_answer_are_shown_in_the_error():
    talk = begun(FakePort({b"POWER?\r": [b"ERR1\rERR 2\r"]}))
    with pytest.raises(DeviceUnreachable, match=r"but 2 that do not answer it, the last ERR 2\\r"):
        await talk.ask(b"POWER?\r", b"POWER=", SHORT)


async def test_a_flood_that_never_answers_ends_in_time():
    port = FakePort()
    talk = begun(port)

    async def flood():
        while True:
            port.says(b"noise without an end " * 50)
            port.says(b"\rTEMP=20\r" * 50)
            await asyncio.sleep(0.001)

    flooding = asyncio.create_task(flood())
    begun_at = now()
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"POWER=", SHORT)
    assert now() - begun_at <= 2 * SHORT + 0.001
    flooding.cancel()
    assert len(talk.conversation.framer.pending) <= LINES.longest


async def test_an_answer_that_has_begun_may_take_longer():
    port = FakePort()
    talk = begun(port)
    soon(port.says, b"POWER=", seconds=0.15)
    soon(port.says, b"ON\r", seconds=0.22)
    assert await talk.ask(b"POWER?\r", b"POWER=", 0.2) == b"POWER=ON"


async def test_the_time_counts_from_the_last_character_of_the_request():
    port = FakePort()
    talk = begun(port, character_seconds=0.05)
    soon(port.says, b"POWER=ON\r", seconds=SHORT + 0.2)
    assert await talk.ask(b"POWER?\r", b"POWER=", SHORT) == b"POWER=ON"


async def test_an_old_incomplete_frame_does_not_spoil_the_next_answer():
    port = FakePort({b"POWER?\r": [b"POWER=ON\r"]})
    talk = begun(port)
    port.says(b"POW")
    await asyncio.sleep(0.12)
    assert await talk.ask(b"POWER?\r", b"POWER=", SHORT) == b"POWER=ON"


async def test_a_frame_that_began_before_a_request_is_completed_after_it():
    port = FakePort({b"POWER?\r": [b"20\rPOWER=ON\r"]})
    talk = begun(port)
    port.says(b"TEMP=")
    assert await talk.ask(b"POWER?\r", b"POWER=") == b"POWER=ON"
    assert talk.unsolicited == [b"TEMP=20"]


async def test_half_an_answer_does_not_extend_the_time_limit():
    port = FakePort({b"POWER?\r": [b"POWER="]})
    talk = begun(port)
    begun_at = now()
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"POWER=", LONG)
    assert now() - begun_at == pytest.approx(LONG)


async def test_a_frame_that_never_ends_extends_the_time_limit_once():
    port = FakePort()
    talk = begun(port)

    async def trickle():
        while True:
            port.says(b"x")
            await asyncio.sleep(0.07)

    trickling = asyncio.create_task(trickle())
    begun_at = now()
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"POWER=", LONG)
    assert now() - begun_at == pytest.approx(2 * LONG)
    trickling.cancel()


async def test_pauses_within_an_answer_may_be_longer_on_a_slow_line():
    port = FakePort()
    talk = begun(port, character_seconds=0.05)
    soon(port.says, b"POWER=", seconds=0.3)
    soon(port.says, b"ON\r", seconds=0.7)
    assert await talk.ask(b"POWER?\r", b"POWER=", 0.2) == b"POWER=ON"


async def test_a_frame_that_ends_by_silence_is_taken_as_an_answer():
    port = FakePort({b"?": [b"4", b"2"]})
    talk = begun(port, framing=SilenceFraming(kind="silence", pause=0.02))
    assert await talk.ask(b"?", b"4") == b"42"


async def test_concurrent_requests_are_sent_one_after_the_other():
    port = FakePort()
    talk = begun(port)
    first, second = (asyncio.create_task(talk.ask(request, b"OK")) for request in (b"A\r", b"B\r"))
    await asyncio.sleep(0.01)
    assert port.written == [b"A\r"]
    port.says(b"OK 1\r")
    await asyncio.sleep(0.01)
    assert port.written == [b"A\r", b"B\r"]
    port.says(b"OK 2\r")
    assert (await first, await second) == (b"OK 1", b"OK 2")


# late answers ---------------------------------------------------------------------------------------------------------


async def test_a_late_answer_is_not_taken_for_the_answer_to_another_request():
    port = FakePort()
    talk = begun(port)
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"OK", SHORT)
    soon(port.says, b"OK late\r", seconds=0.02)
    soon(port.says, b"OK new\r", seconds=0.3)
    assert await talk.ask(b"INPUT?\r", b"OK") == b"OK new"
    assert talk.unsolicited == [b"OK late"]


async def test_another_request_waits_for_a_late_answer_only_until_it_came():
    port = FakePort({b"INPUT?\r": [b"OK 2\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, late_answer_seconds=5))
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"OK", SHORT)
    soon(port.says, b"OK late\r", seconds=0.02)
    begun_at = now()
    assert await talk.ask(b"INPUT?\r", b"OK") == b"OK 2"
    assert now() - begun_at == pytest.approx(0.02)


async def test_a_lost_port_ends_the_wait_for_a_late_answer():
    port = FakePort()
    talk = begun(port, settings=ConversationSettings(echo=False, late_answer_seconds=5))
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"OK", SHORT)
    soon(lambda: port.listener.port_lost("it was unplugged"))
    begun_at = now()
    with pytest.raises(BusUnavailable, match="unplugged"):
        await talk.ask(b"INPUT?\r", b"OK")
    assert now() - begun_at == pytest.approx(0.01)
    assert port.written == [b"POWER?\r"]


async def test_the_same_request_is_repeated_at_once_and_accepts_either_answer():
    port = FakePort()
    talk = begun(port, settings=ConversationSettings(echo=False, late_answer_seconds=5))
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"POWER?\r", b"OK", SHORT)
    soon(port.says, b"OK 1\r")
    begun_at = now()
    assert await talk.ask(b"POWER?\r", b"OK") == b"OK 1"
    assert now() - begun_at == pytest.approx(0.01)
    soon(port.says, b"OK 1\r")  # the second answer to a question that was asked twice
    soon(port.says, b"OK 7\r", seconds=0.3)
    assert await talk.ask(b"INPUT?\r", b"OK") == b"OK 7"


async def test_a_cancelled_request_may_be_answered_late_too():
    port = FakePort()
    talk = begun(port)
    asking = asyncio.create_task(talk.ask(b"POWER?\r", b"OK"))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    soon(port.says, b"OK late\r")
    soon(port.says, b"OK new\r", seconds=0.3)
    assert await talk.ask(b"INPUT?\r", b"OK") == b"OK new"


# pacing ---------------------------------------------------------------------------------------------------------------


async def test_pacing_pauses_after_an_answer_and_after_a_command():
    port = FakePort({b"A\r": [b"OK\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, pacing_seconds=0.05))
    begun_at = now()
    await talk.ask(b"A\r")
    await talk.conversation.send(b"B\r")
    await talk.ask(b"A\r")
    assert now() - begun_at == pytest.approx(0.1)
    assert port.written == [b"A\r", b"B\r", b"A\r"]


async def test_the_pause_after_a_command_counts_from_its_last_character():
    port = FakePort({b"A\r": [b"OK\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, pacing_seconds=0.05), character_seconds=0.1)
    begun_at = now()
    await talk.conversation.send(b"B\r")
    await talk.ask(b"A\r")
    assert now() - begun_at == pytest.approx(0.25)


async def test_a_port_that_is_lost_during_a_pause_gets_no_request():
    port = FakePort({b"A\r": [b"OK\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, pacing_seconds=0.5))
    await talk.ask(b"A\r")
    soon(lambda: port.listener.port_lost("it was unplugged"))
    with pytest.raises(BusUnavailable):
        await talk.conversation.send(b"B\r")
    assert port.written == [b"A\r"]


async def test_a_request_on_a_lost_port_fails_at_once():
    port = FakePort({b"A\r": [b"OK\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, pacing_seconds=0.5))
    await talk.ask(b"A\r")
    port.listener.port_lost("it was unplugged")
    begun_at = now()
    with pytest.raises(BusUnavailable, match="unplugged"):
        await talk.ask(b"A\r")
    assert now() == begun_at


# echoes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[b"P?\rP=1\r"], [b"P", b"?\r", b"P=1\r"], [bytes([byte]) for byte in b"P?\rP=1\r"]])
@pytest.mark.parametrize("setting", [True, None])
async def test_an_echo_is_removed_in_arbitrary_pieces(pieces, setting):
    talk = begun(FakePort({b"P?\r": pieces}), settings=ConversationSettings(echo=setting))
    assert await talk.ask(b"P?\r", b"P") == b"P=1"
    assert talk.unsolicited == []
    assert talk.conversation.echoes is True


async def test_the_absence_of_an_echo_is_detected():
    talk = begun(FakePort({b"P?\r": [b"P=1\r"]}), settings=ConversationSettings())
    assert talk.conversation.echoes is None
    assert await talk.ask(b"P?\r", b"P") == b"P=1"
    assert talk.conversation.echoes is False


async def test_an_answer_that_repeats_the_request_is_not_taken_for_an_echo():
    talk = begun(FakePort({b"P=1\r": [b"P=1\r"]}), settings=ConversationSettings())
    assert await talk.ask(b"P=1\r", b"P=1", SHORT) == b"P=1"
    assert talk.conversation.echoes is False
    begun_at = now()
    assert await talk.ask(b"P=1\r", b"P=1", LONG) == b"P=1"
    assert now() == begun_at


async def test_an_echo_after_another_frame_is_removed():
    talk = begun(FakePort({b"P?\r": [b"TEMP=20\r", b"P?\r", b"P=1\r"]}), settings=ConversationSettings(echo=True))
    assert await talk.ask(b"P?\r", b"P") == b"P=1"
    assert talk.unsolicited == [b"TEMP=20"]


async def test_an_echo_without_an_answer_is_not_an_answer():
    talk = begun(FakePort({b"P?\r": [b"P?\r"]}), settings=ConversationSettings(echo=True))
    with pytest.raises(DeviceUnreachable):
        await talk.ask(b"P?\r", b"P", SHORT)


# prompts --------------------------------------------------------------------------------------------------------------


async def test_prompts_are_not_part_of_a_frame():
    port = FakePort({b"A\r": [b"> A=1\r", b">", b" "], b"B\r": [b"B=2>\r> "]})
    talk = begun(port, settings=ConversationSettings(echo=False, prompt=b"> "))
    assert await talk.ask(b"A\r", b"A") == b"A=1"
    assert await talk.ask(b"B\r", b"B") == b"B=2>"
    assert talk.unsolicited == []
    assert talk.conversation.framer.pending == b""


async def test_a_request_waits_for_the_prompt():
    port = FakePort({b"A\r": [b"A=1\r"], b"B\r": [b"B=2\r"]})
    talk = begun(port, settings=ConversationSettings(echo=False, prompt=b"> "))
    await talk.ask(b"A\r", b"A")
    asking = asyncio.create_task(talk.ask(b"B\r", b"B"))
    await asyncio.sleep(0.03)
    assert port.written == [b"A\r"]
    port.says(b"> ")
    assert await asking == b"B=2"


async def test_a_request_is_sent_without_a_prompt_after_a_time_limit():
    talk = begun(FakePort({b"A\r": [b"A=1\r"], b"B\r": [b"B=2\r"]}), settings=ConversationSettings(echo=False, prompt=b"> "))
    await talk.ask(b"A\r", b"A")
    assert await talk.ask(b"B\r", b"B") == b"B=2"


async def test_the_time_limit_for_a_prompt_counts_from_the_last_received_byte():
    talk = begun(FakePort({b"A\r": [b"A=1\r"], b"B\r": [b"B=2\r"]}), settings=ConversationSettings(echo=False, prompt=b"> "))
    await talk.ask(b"A\r", b"A")
    await asyncio.sleep(2)
    begun_at = now()
    assert await talk.ask(b"B\r", b"B") == b"B=2"
    assert now() - begun_at < 0.01


# the log-in -----------------------------------------------------------------------------------------------------------

LOGIN = ConversationSettings(
    echo=False,
    prompt=b"> ",
    login=(LoginStep(b"login: ", SecretStr("admin\r")), LoginStep(b"Password: ", SecretStr("s3cret\r"))),
    login_refused=b"incorrect",
    login_seconds=3.0,
)
LETS_IN = {b"admin\r": [b"admin\r\nPassword: "], b"s3cret\r": [b"\r\nWelcome\r\n> "], b"A\r": [b"A=1\r> "]}


async def test_a_log_in_is_answered_before_the_request():
    port = FakePort(LETS_IN)
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    assert await talk.ask(b"A\r", b"A") == b"A=1"
    assert port.written == [b"admin\r", b"s3cret\r", b"A\r"]
    assert talk.unsolicited == []


async def test_a_device_that_asked_for_the_log_in_before_the_port_was_open_is_woken():
    port = FakePort({b"\r": [b"login: "], **LETS_IN})
    assert await begun(port, settings=LOGIN).ask(b"A\r", b"A") == b"A=1"
    assert port.written[0] == b"\r"


async def test_a_device_that_is_logged_in_already_gets_no_log_in():
    port = FakePort({b"\r": [b"\r\n> "], b"A\r": [b"A=1\r> "]})
    assert await begun(port, settings=LOGIN).ask(b"A\r", b"A") == b"A=1"
    assert port.written == [b"\r", b"A\r"]


async def test_a_device_that_restarted_gets_the_log_in_again():
    port = FakePort(LETS_IN)
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    await talk.ask(b"A\r", b"A")
    port.says(b"Booting...\r\nlog")
    port.says(b"in: ")
    assert await talk.ask(b"A\r", b"A") == b"A=1"
    assert port.written[-3:] == [b"admin\r", b"s3cret\r", b"A\r"]


@pytest.mark.parametrize("answer", [[b"A=1 login: 7\r> "], [b"A=1 last login: ", b"12:00\r> "], [b"A=1\r\nlogin: none\r\n> "]])
async def test_the_text_of_the_prompt_within_data_is_no_request_to_log_in(answer):
    port = FakePort({**LETS_IN, b"A\r": answer})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    for _ in range(3):
        assert (await talk.ask(b"A\r", b"A")).startswith(b"A=1")
    assert port.written == [b"admin\r", b"s3cret\r", b"A\r", b"A\r", b"A\r"]


@pytest.mark.parametrize("says", [[b"\r\nLast login: Mon 3 May\r\n> "], [b"\r\nLast login: ", b"Mon 3 May\r\n", b"> "]])
async def test_the_greeting_of_a_log_in_may_contain_its_prompt(says):
    port = FakePort({**LETS_IN, b"s3cret\r": []})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    for at, piece in enumerate(says):
        soon(port.says, piece, seconds=0.1 + 0.05 * at)
    assert await talk.ask(b"A\r", b"A") == b"A=1"


async def test_nothing_is_sent_after_a_log_in_that_failed_before_another_log_in():
    port = FakePort({**LETS_IN, b"s3cret\r": [b"\r\n> "]})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    await talk.ask(b"A\r", b"A")
    port.answers[b"s3cret\r"] = [b"Login incorrect\r\nlogin: "]
    port.says(b"\r\nlogin: ")
    for _ in range(2):
        soon(port.says, b"\r\nlogin: ")
        with pytest.raises(DeviceUnreachable, match="rejects it"):
            await talk.ask(b"A\r", b"A")
    assert port.written.count(b"A\r") == 1


async def test_the_prompt_that_ends_a_log_in_is_not_waited_for_again():
    port = FakePort({**LETS_IN, b"A\r": [b"A=1\r"]})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    await talk.ask(b"A\r", b"A")
    port.says(b"Booting...\r\nlogin: ")
    begun_at = now()
    assert await talk.ask(b"A\r", b"A") == b"A=1"
    assert now() - begun_at < 0.01


async def test_a_device_with_log_in_but_no_prompt_is_ready_when_it_does_not_ask_again():
    settings = ConversationSettings(echo=False, login=(LoginStep(b"code: ", SecretStr("12é\r")),), login_seconds=3.0)
    port = FakePort({b"A\r": [b"A=1\r"]})
    talk = begun(port, settings=settings)
    port.says(b"code: ")
    begun_at = now()
    assert await talk.ask(b"A\r", b"A") == b"A=1"
    assert port.written == ["12é\r".encode("latin-1"), b"A\r"]
    assert now() - begun_at == pytest.approx(0.5)


async def test_a_prompt_that_does_not_come_after_the_log_in_is_reported():
    port = FakePort({**LETS_IN, b"s3cret\r": [b"\r\nWelcome\r\n"]})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    with pytest.raises(DeviceUnreachable, match="log-in: the prompt `> ` did not come"):
        await talk.ask(b"A\r", b"A")
    assert port.written == [b"admin\r", b"s3cret\r"]


@pytest.mark.parametrize("says", [b"Login incorrect\r\n", b"\r\nlogin: "])
async def test_a_rejected_log_in_is_reported_without_the_password(says):
    port = FakePort({**LETS_IN, b"s3cret\r": [says]})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    with pytest.raises(DeviceUnreachable, match="log-in: the device rejects it") as refused:
        await talk.ask(b"A\r", b"A")
    assert "s3cret" not in f"{refused.value!r} {LOGIN!r}"


async def test_a_missing_password_prompt_is_reported():
    port = FakePort()
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    with pytest.raises(DeviceUnreachable, match="log-in: `Password: ` did not come"):
        await talk.ask(b"A\r", b"A")


@pytest.mark.parametrize(("missing", "key"), [("is_user_missing", "`user`"), ("is_password_missing", "`password_file`")])
async def test_a_log_in_without_a_user_or_a_password_sends_nothing_and_names_the_setting(missing, key):
    step = LoginStep(b"login: ", SecretStr("\r"), **{missing: True})
    port = FakePort()
    talk = begun(port, settings=ConversationSettings(echo=False, login=(step,), login_seconds=3.0))
    soon(port.says, b"login: ")
    with pytest.raises(DeviceUnreachable, match=f"log-in: it needs .*{key}"):
        await talk.ask(b"A\r", b"A")
    assert port.written == []


async def test_received_bytes_are_not_shown_if_they_may_contain_a_secret():
    port = FakePort({**LETS_IN, b"A\r": [b"s3cret\r"]})
    talk = begun(port, settings=LOGIN)
    soon(port.says, b"login: ")
    with pytest.raises(DeviceUnreachable) as silent:
        await talk.ask(b"A\r", b"A", SHORT)
    assert "but 1 that" in str(silent.value)
    assert "s3cret" not in str(silent.value)


# the port is lost -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [PLAIN, LOGIN], ids=["asking", "logging in"])
async def test_a_lost_port_ends_a_pending_request_or_log_in_at_once(settings):
    port = FakePort()
    talk = begun(port, settings=settings)
    soon(lambda: port.listener.port_lost("it was unplugged"))
    begun_at = now()
    with pytest.raises(BusUnavailable, match="unplugged"):
        await talk.ask(b"A\r", b"A")
    assert now() - begun_at == pytest.approx(0.01)
    with pytest.raises(BusUnavailable, match="unplugged"):
        await talk.conversation.send(b"B\r")


async def test_a_conversation_that_has_ended_receives_nothing():
    port = FakePort()
    talk = RecordedConversation(port, framing=SilenceFraming(kind="silence", pause=0.02))
    async with talk.conversation:
        port.says(b"the beginning of a frame")
    assert port.listener is None
    await asyncio.sleep(0.04)
    assert talk.unsolicited == []
