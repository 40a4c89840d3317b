"""What a service manager hears, on a real datagram socket of either address form, read as systemd reads it."""

import asyncio
import os
import socket
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from gateway.service_manager import Notifier
from gateway.testing.clock import simulated

QUICK = timedelta(milliseconds=10)


class Listener:
    """Hears as systemd does: one datagram holds one or more lines NAME=VALUE."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        messages = []
        try:
            while True:
                messages.append(dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines()))
        except BlockingIOError:
            return messages

    async def hears(self, count: int) -> list[dict[str, str]]:
        messages = self.heard()
        async with asyncio.timeout(60):
            while len(messages) < count:
                await asyncio.sleep(0.005)
                messages += self.heard()
        return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["a file", "an abstract name"])
def listener(request, tmp_path):
    listener = Listener(str(tmp_path / "notify") if request.param == "a file" else f"@xyte-gateway-{uuid4()}")
    yield listener
    listener.close()


def of(listener, **environment):
    return Notifier.from_environment({"NOTIFY_SOCKET": listener.address, **environment})


def fine():
    return "The cloud is reachable."


def test_ready_status_and_stopping_are_heard_on_either_form_of_address(listener):
    notifier = of(listener)
    notifier.ready()
    notifier.status("All 3 children are fine.")
    notifier.stopping()
    assert listener.heard() == [{"READY": "1"}, {"STATUS": "All 3 children are fine."}, {"STOPPING": "1"}]


def test_a_status_that_has_not_changed_is_not_said_again(listener):
    notifier = of(listener)
    for text in ("fine", "fine", "not fine", "fine"):
        notifier.status(text)
    assert [message["STATUS"] for message in listener.heard()] == ["fine", "not fine", "fine"]


def test_a_status_can_neither_add_a_line_of_its_own_nor_outgrow_what_systemd_reads(listener):
    notifier = of(listener)
    notifier.status("fine\nREADY=1")
    notifier.status("not fine \udcff \N{THERMOMETER} " * 200)
    first, second = listener.heard()
    assert first == {"STATUS": "fine READY=1"}
    assert second["STATUS"].endswith("[...]")
    assert len(second["STATUS"].encode()) < 4096


async def test_without_a_service_manager_nothing_is_said_and_no_headline_is_asked_for():
    def headline():
        raise AssertionError("asked for")

    notifier = Notifier.from_environment({})
    notifier.ready()
    notifier.status("fine")
    async with notifier.serving(headline, asyncio.Event()):
        await asyncio.sleep(0)
    notifier.stopping()


async def test_while_it_serves_it_says_ready_shows_life_tells_the_headline_and_takes_leave_once_it_is_to_stop(listener):
    stop = asyncio.Event()
    notifier = Notifier(listener.address, killed_after=QUICK, headline_every=QUICK)
    async with notifier.serving(fine, stop):
        messages = await listener.hears(5)
        stop.set()
        async with asyncio.timeout(60):
            while {"STOPPING": "1"} not in messages:
                messages += await listener.hears(1)
        after = await listener.hears(2)
    assert messages[0] == {"READY": "1"}
    assert sum(message == {"STATUS": fine()} for message in messages) == 1
    assert sum(message == {"WATCHDOG": "1"} for message in messages) >= 3
    assert {"WATCHDOG": "1"} in after, "a long stop is not killed as a hang"
    await asyncio.sleep(0.05)
    listener.heard()
    await asyncio.sleep(0.05)
    assert listener.heard() == [], "it goes on speaking after the end"


async def test_a_headline_may_be_waited_for_and_is_asked_for_again(listener):
    asked = 0

    async def headline():
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return f"asked {asked} times"

    async with Notifier(listener.address, headline_every=QUICK).serving(headline, asyncio.Event()):
        messages = await listener.hears(4)
    assert [message.get("STATUS") for message in messages[1:4]] == [f"asked {times} times" for times in (1, 2, 3)]


async def test_a_headline_that_fails_or_hangs_stops_no_sign_of_life(listener, caplog):
    def broken():
        raise LookupError("no such child")

    async def hanging():
        await asyncio.Event().wait()
        return "never"

    for headline in (broken, hanging):
        async with Notifier(listener.address, killed_after=QUICK).serving(headline, asyncio.Event()):
            assert (await listener.hears(4))[1:4] == [{"WATCHDOG": "1"}] * 3
        listener.heard()
    assert caplog.text.count("the headline failed") == 1
    assert "no such child" in caplog.text


async def test_a_loop_that_hangs_shows_no_life(listener):
    async with Notifier(listener.address, killed_after=QUICK).serving(fine, asyncio.Event()):
        await listener.hears(4)
        listener.heard()
        time.sleep(20 * QUICK.total_seconds())  # noqa: ASYNC251 - this is the hang
        assert listener.heard() == []


@pytest.mark.parametrize("who", [{}, {"WATCHDOG_PID": str(os.getpid())}])
def test_life_is_shown_four_times_as_often_as_the_watchdog_asks_and_an_unchanged_headline_once(listener, who):
    async def a_minute():
        async with of(listener, WATCHDOG_USEC="30000000", **who).serving(fine, asyncio.Event()):
            await asyncio.sleep(59)

    simulated(a_minute())
    messages = listener.heard()
    assert messages.count({"WATCHDOG": "1"}) == 8  # at 0, 7.5, 15 s and so on
    assert messages.count({"STATUS": fine()}) == 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
    ],
)
def test_no_life_is_shown_where_nobody_watches_this_process(listener, environment):
    async def a_minute():
        async with of(listener, **environment).serving(fine, asyncio.Event()):
            await asyncio.sleep(60)

    simulated(a_minute())
    assert not any("WATCHDOG" in message for message in listener.heard())


async def test_what_was_not_heard_is_said_again_and_the_trouble_is_logged_once(tmp_path, caplog):
    caplog.set_level("INFO")
    address = str(tmp_path / "notify")
    async with Notifier(address, headline_every=QUICK).serving(fine, asyncio.Event()):
        await asyncio.sleep(0.05)
        listener = Listener(address)
        heard = (await listener.hears(1))[0]
    listener.close()
    assert heard == {"READY": "1", "STATUS": fine()}
    assert caplog.text.count("cannot be notified") == 1
    assert caplog.text.count("can be notified again") == 1


def test_a_service_manager_that_does_not_read_holds_nothing_up(listener):
    notifier = of(listener)
    for number in range(5000):  # far more than a socket keeps for its reader
        notifier.status(str(number))
    heard = listener.heard()
    notifier.status("4999")
    assert 0 < len(heard) < 5000
    assert listener.heard() == [{"STATUS": "4999"}]


@pytest.mark.parametrize("address", ["vsock:2:1234", "notify", "@" + "a" * 200, "/" + "a" * 200, "\0"])
def test_an_address_that_cannot_be_used_takes_nothing_down(address, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Notifier.from_environment({"NOTIFY_SOCKET": address}).ready()
    assert "cannot be notified" in caplog.text
