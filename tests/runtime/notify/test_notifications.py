"""Notifications: a real webhook receiver and a real mail server get them; together, in time, again while sending fails."""

import asyncio
import email
import email.policy
import ssl
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import SecretStr

from gateway.config.settings import NotifySection
from gateway.runtime.notify import notifier as module
from gateway.runtime.notify.channel import NotSent
from gateway.runtime.notify.notifier import MOST_WAITING, Notifier, channels_of
from gateway.state.incidents import OpenIncident, Priority
from gateway.testing.clock import simulated

LOST = OpenIncident(
    cause="bus_lost:line",
    child=None,
    title="bus line lost",
    what_to_do="Look at its cable.",
    priority=Priority.HIGH,
)
SILENT = OpenIncident(cause="silent:m1", child="m1", title="silent", what_to_do="Look at its power.", priority=Priority.MODERATE)
LATE = OpenIncident(cause="late", child=None, title="not up to date", what_to_do="Look.", priority=Priority.LOW)


def notifier_of(section, channels=None):
    channels = channels_of(section) if channels is None else channels
    return Notifier(section, channels, "Plant room north", {"m1": "Meter 1"}.get)


def at_once(**settings):
    return NotifySection(after=timedelta(0), **settings)


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(module, "MESSAGE_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.02)


@pytest.fixture
async def receiver():
    """A webhook receiver: what it got is in `got`, what it answers first in `answers`."""
    state = SimpleNamespace(got=asyncio.Queue(), answers=[])

    async def handle(request):
        state.got.put_nowait((await request.json(), request.headers.get("Authorization")))
        status, text = state.answers.pop(0) if state.answers else (200, "thanks")
        return web.Response(status=status, text=text, headers={"Location": "/other"})

    application = web.Application()
    application.router.add_post("/hook/a-secret-path", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook/a-secret-path"
    yield state
    await runner.cleanup()


@pytest.fixture
async def mail_server(monkeypatch, tmp_path):
    """A mail server with STARTTLS and a password: what it got is in `got`."""
    state = SimpleNamespace(got=asyncio.Queue(), password="the-password")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # as the system's authorities
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the library's name
            state.got.put_nowait((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
            return "250 queued as 4711"

    def authenticate(server, session, envelope, mechanism, data):
        is_right = (data.login, data.password) == (b"gateway", state.password.encode())
        return AuthResult(success=is_right, handled=False)

    def protocol():
        settings = {"require_starttls": True, "auth_required": True, "authenticator": authenticate}
        return SMTP(Handler(), tls_context=context, loop=asyncio.get_running_loop(), **settings)

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    yield state
    server.close()


def mail_section(server, **settings):
    return at_once(
        **{
            "email_to": ("operator@example.com", "night@example.com"),
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_user": "gateway",
            "smtp_password": SecretStr(server.password),
        }
        | settings
    )


@pytest.mark.enable_socket
async def test_a_webhook_gets_what_opened_and_what_closed_with_its_token(receiver, soon, tmp_path):
    file = tmp_path / "token"
    file.write_text("a-token\n")
    section = at_once(webhook=SecretStr(receiver.url), webhook_token_file=file, page_url="https://gw.example:8080")
    notifier = notifier_of(section)
    running = asyncio.create_task(notifier.run())
    async with asyncio.timeout(60):
        notifier.take([LOST, SILENT])
        body, token = await receiver.got.get()
        assert token == "Bearer a-token"
        assert (body["gateway"], body["url"], body["test"]) == ("Plant room north", "https://gw.example:8080", False)
        first, second = body["incidents"]
        assert (first["state"], first["cause"], first["priority"], first["device"]) == ("opened", "bus_lost:line", "high", None)
        assert (second["title"], second["device"], second["what_to_do"]) == ("silent", "Meter 1", "Look at its power.")
        notifier.take([SILENT])
        body, _ = await receiver.got.get()
    assert [(one["state"], one["cause"]) for one in body["incidents"]] == [("closed", "bus_lost:line")]
    running.cancel()


@pytest.mark.enable_socket
async def test_a_webhook_that_fails_is_tried_again_and_its_secrets_are_not_told(receiver, soon, caplog):
    receiver.answers = [(500, f"broken {receiver.url}"), (302, "elsewhere")]
    notifier = notifier_of(at_once(webhook=SecretStr(receiver.url), webhook_token=SecretStr("a-token")))
    running = asyncio.create_task(notifier.run())
    async with asyncio.timeout(60):
        notifier.take([LOST])
        for _ in range(3):
            body, _ = await receiver.got.get()
            assert [one["cause"] for one in body["incidents"]] == ["bus_lost:line"]
        while notifier.channels[0].waiting:  # noqa: ASYNC110 - what is waited for is set by the code that is tested
            await asyncio.sleep(0.01)
    running.cancel()
    assert notifier.channels[0].problem is None
    assert "it answered 500" in caplog.text
    assert "a-secret-path" not in caplog.text
    assert "a-token" not in caplog.text
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 1


@pytest.mark.enable_socket
async def test_an_email_is_sent_with_starttls_and_password_to_all(mail_server, soon):
    notifier = notifier_of(mail_section(mail_server, page_url="https://gw.example:8080"))
    running = asyncio.create_task(notifier.run())
    async with asyncio.timeout(60):
        notifier.take([LOST, SILENT])
        recipients, message = await mail_server.got.get()
    running.cancel()
    assert recipients == ["operator@example.com", "night@example.com"]
    assert message["Subject"] == "Plant room north: 2 incidents opened"
    text = message.get_content()
    assert "OPENED  bus line lost" in text
    assert "OPENED  Meter 1: silent" in text
    assert "Look at its cable." in text
    assert "https://gw.example:8080" in text


@pytest.mark.enable_socket
async def test_a_test_says_what_each_server_answered(receiver, mail_server):
    section = mail_section(mail_server, webhook=SecretStr(receiver.url))
    hook, mail = await notifier_of(section).test()
    assert (hook.is_sent, hook.text) == (True, "200 OK thanks")
    assert (mail.is_sent, "queued as 4711" in mail.text) == (True, True)
    assert (await receiver.got.get())[0]["test"] is True
    assert "Nothing is wrong" in (await mail_server.got.get())[1].get_content()
    receiver.answers = [(403, "who are you?")]
    wrong = section.model_copy(update={"smtp_password": SecretStr("not-the-password")})
    hook, mail = await notifier_of(wrong).test()
    assert (hook.is_sent, hook.text) == (False, "it answered 403 Forbidden who are you?")
    assert not mail.is_sent
    assert "535" in mail.text
    assert "not-the-password" not in mail.text
    assert mail_server.got.empty()


@pytest.mark.enable_socket
async def test_a_test_of_servers_that_are_not_there_or_not_trusted_says_why(mail_server, monkeypatch, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    section = mail_section(mail_server, webhook=SecretStr("http://127.0.0.1:9/a-secret-path"))
    hook, mail = await notifier_of(section).test()
    assert (hook.is_sent, mail.is_sent) == (False, False)
    assert "Connect call failed" in hook.text
    assert "a-secret-path" not in hook.text
    assert "certificate verify failed" in mail.text
    missing = section.model_copy(update={"smtp_password": None, "smtp_password_file": tmp_path / "none"})
    assert "cannot be read" in (await notifier_of(missing).test())[1].text


class Recorder:
    name = "recorder"

    def __init__(self, problems=()):
        self.problems = list(problems)
        self.sent = []

    async def send(self, message):
        if self.problems and (problem := self.problems.pop(0)) is not None:
            raise problem
        self.sent.append((asyncio.get_running_loop().time(), message))
        return "ok"


def play(steps, *, channel, hours=1.0, **settings):
    """Take the incidents of each step at its second, and return the notifier."""

    async def run():
        notifier = notifier_of(NotifySection(**settings), [channel])
        task = asyncio.create_task(notifier.run())
        began = asyncio.get_running_loop().time()
        for second in range(0, int(hours * 3600), 5):
            incidents = next((found for at, found in reversed(steps) if at <= second), [])
            notifier.take(incidents)
            await asyncio.sleep(began + second + 5 - asyncio.get_running_loop().time())
        task.cancel()
        return notifier

    return simulated(run())


def told(recorder):
    return [[(one.incident.cause, one.is_open) for one in message.notices] for _, message in recorder.sent]


def test_many_incidents_at_once_are_one_message_and_there_is_one_a_minute_at_most():
    many = [OpenIncident(cause=f"silent:{number}", child=None, title="silent", what_to_do="Look.") for number in range(100)]
    recorder = Recorder()
    play([(number * 5, many[: number + 1]) for number in range(100)], channel=recorder, after=timedelta(0))
    assert sum(len(message.notices) for _, message in recorder.sent) == 100
    times = [at for at, _ in recorder.sent]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 60
    assert len(recorder.sent) <= 10
    recorder = Recorder()
    play([(0, many)], channel=recorder, after=timedelta(0))
    assert [len(message.notices) for _, message in recorder.sent] == [100]


def test_only_what_lasts_and_matters_is_told_and_its_end_too():
    recorder = Recorder()
    play(
        [(0, [SILENT, LATE]), (30, [LATE, LOST]), (600, [LATE]), (700, [])],
        channel=recorder,
        after=timedelta(seconds=60),
        priority="high",
    )
    assert told(recorder) == [[("bus_lost:line", True)], [("bus_lost:line", False)]]


def test_what_cannot_be_sent_waits_bounded_and_says_how_many_were_dropped():
    flood = [
        OpenIncident(cause=f"silent:{number}", child=None, title="silent", what_to_do="Look.")
        for number in range(MOST_WAITING + 7)
    ]
    recorder = Recorder([NotSent("down"), ValueError("a bug")] * 3)
    notifier = play([(0, flood)], channel=recorder, hours=2, after=timedelta(0))
    ((_, message),) = recorder.sent
    assert (len(message.notices), message.left_out) == (MOST_WAITING, 7)
    assert (notifier.channels[0].waiting, notifier.channels[0].problem) == (0, None)


def test_a_channel_that_fails_for_days_is_tried_ever_more_seldom():
    recorder = Recorder([NotSent("down")] * 10_000)
    notifier = play([(0, [LOST])], channel=recorder, hours=24, after=timedelta(0))
    assert 24 <= 10_000 - len(recorder.problems) <= 70
    assert notifier.channels[0].problem == "down"
