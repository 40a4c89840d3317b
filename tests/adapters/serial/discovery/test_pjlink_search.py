"""Projectors with PJLink class 2 are found by a search over real sockets on loopback, and nobody else's answer counts.

Loopback has no directed broadcast, so each address is asked by itself, as those of a network behind a router are.
"""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.discovery import pjlink_search
from adapters.serial.discovery.network_discovery import ANNOUNCED_AS
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Announcement, NamedNetworks, NetworkHost, Progress, SearchSummary
from gateway.testing.serial import SearchedProjector

pytestmark = pytest.mark.enable_socket

ANSWER_SECONDS = 60.0
"""A search ends before, once all that were asked by themselves have answered."""

GOOD = "127.0.0.2"


@pytest.fixture
def port(monkeypatch, unused_udp_port):
    monkeypatch.setattr(pjlink_search, "PJLINK_PORT", unused_udp_port)
    return unused_udp_port


def networks(*addresses, **more):
    return NamedNetworks(
        **{"addresses": frozenset(addresses), "single_addresses": addresses, "answer_seconds": ANSWER_SECONDS, **more}
    )


async def searched(projectors, named):
    """Return the hosts and the summary of a search while these projectors are there."""
    async with AsyncExitStack() as stack:
        for one in projectors:
            await stack.enter_async_context(one)
        steps = [step async for step in SerialAdapter.look_in_networks(named)]
    (summary,) = [step for step in steps if isinstance(step, SearchSummary)]
    return [step for step in steps if isinstance(step, NetworkHost)], summary


async def test_each_projector_is_found_once_with_its_port_and_what_it_answered(port):
    projectors = [
        SearchedProjector("127.0.0.2", port=port, mac="00:1B:C5:00:B0:02"),
        SearchedProjector("127.0.0.3", port=port, answers=[b"%2ackn=00-1b-c5-00-b0-03 \r\n", b"%2ACKN=001bc500b003\r"]),
    ]
    found, summary = await searched(projectors, networks("127.0.0.2", "127.0.0.3"))
    assert {one.host: dict(one.evidence) for one in found} == {
        "127.0.0.2": {f"%2SRCH to UDP port {port}": "%2ACKN=00:1B:C5:00:B0:02"},
        "127.0.0.3": {f"%2SRCH to UDP port {port}": "%2ACKN=00:1B:C5:00:B0:03"},
    }
    assert {one.host: one.entry for one in found}["127.0.0.2"] == {
        "ports": [{"port": f"tcp://127.0.0.2:{port}", "profiles": ["pjlink"]}]
    }
    assert [one.received for one in projectors] == [[b"%2SRCH\r"], [b"%2SRCH\r"]]
    assert (summary.asked, summary.answered, summary.advice) == (2, 2, None)
    assert "asked 2 addresses" in summary.text


class Ringleader(SearchedProjector):
    """A projector that is asked, has others send what they like, and then answers as it should, so that the search ends."""

    def __init__(self, port, *others, **options):
        super().__init__(GOOD, port=port, **options)
        self._others = others

    def datagram_received(self, data, sender):
        for one in self._others:
            one.datagram_received(data, sender)
        super().datagram_received(data, sender)


def liars_named(*liars, port, **options):
    """Return these liars with their ringleader, who alone is asked, and what a person has named: all of them."""
    addresses = [one.host for one in liars]
    return [*liars, Ringleader(port, *liars, **options)], networks(GOOD, addresses=frozenset([GOOD, *addresses]))


async def test_what_is_no_answer_of_a_projector_is_counted_and_ignored(port):
    liars = [
        SearchedProjector("127.0.0.3", port=port, answers=[b"\0", b"PJLINK 0\r", b"%1POWR=1\r", b"%2ACKN=00:1B:C5\r"]),
        SearchedProjector("127.0.0.4", port=port, answers=[b"%2ACKN=" + b"0" * 60_000]),
        SearchedProjector("127.0.0.5", port=port, mac="00:00:00:00:00:00"),
        SearchedProjector("127.0.0.6", port=port, mac="FF:FF:FF:FF:FF:FF"),
        SearchedProjector("127.0.0.7", port=port, mac="01:00:5E:00:00:01"),
        SearchedProjector("127.0.0.8", port=port, answers=[b"%2ACKN=001bc500b008\r", b"%2ACKN=001bc500b00f\r"]),
    ]
    found, summary = await searched(*liars_named(*liars, port=port))
    assert [one.host for one in found] == ["127.0.0.8", GOOD]
    assert summary.text == (
        "asked 1 address for projectors with PJLink class 2: 2 answered; ignored 4 no answers of projectors, 1 too long, "
        "1 with another MAC address than before, 3 without the MAC address of a device"
    )


async def test_an_answer_from_outside_of_the_named_networks_finds_nothing(port):
    outsider = SearchedProjector("127.0.0.9", port=port)
    found, summary = await searched([outsider, Ringleader(port, outsider)], networks(GOOD))
    assert [one.host for one in found] == [GOOD]
    assert "ignored 1 from outside of the named networks" in summary.text


async def test_where_none_answers_what_to_check_is_said(port):
    found, summary = await searched([], networks(GOOD, answer_seconds=0.05))
    assert found == []
    assert (summary.asked, summary.answered) == (1, 0)
    assert "class 1 do not answer a search" in summary.advice


async def test_a_flood_ends_the_search_and_keeps_little(port, monkeypatch):
    monkeypatch.setattr(pjlink_search, "MOST_DATAGRAMS", 50)
    flood = SearchedProjector(GOOD, port=port, answers=[b"%2ACKN=001bc500b002\r"] * 100)
    found, summary = await searched([flood], networks(GOOD, "127.0.0.3"))
    assert len(found) <= 1
    assert "ended early after 50 datagrams" in summary.text


async def test_no_more_projectors_are_taken_than_the_limit(port, monkeypatch):
    monkeypatch.setattr(pjlink_search, "MOST_PROJECTORS", 2)
    many = [SearchedProjector(f"127.0.0.{number}", port=port) for number in range(3, 6)]
    named = networks(GOOD, *(one.host for one in many), single_addresses=(GOOD,), answer_seconds=1.0)
    found, summary = await searched([*many, Ringleader(port, *many)], named)
    assert [one.host for one in found] == ["127.0.0.3", "127.0.0.4"]
    assert "ignored 2 beyond 256 projectors" in summary.text


async def test_many_single_addresses_are_asked_in_bursts(port, monkeypatch):
    monkeypatch.setattr(pjlink_search, "BURST", 2)
    monkeypatch.setattr(pjlink_search, "BURST_PAUSE_SECONDS", 0.01)
    addresses = [f"127.0.0.{number}" for number in range(2, 9)]
    found, _ = await searched([SearchedProjector(one, port=port) for one in addresses], networks(*addresses))
    assert sorted(one.host for one in found) == addresses


async def test_a_projector_is_asked_again_where_its_first_answer_was_lost(port, monkeypatch):
    class Lossy(SearchedProjector):
        def datagram_received(self, data, sender):
            super().datagram_received(data, sender) if self.received else self.received.append(data)

    monkeypatch.setattr(pjlink_search, "AGAIN_SECONDS", 0.05)
    prompt, lossy = SearchedProjector("127.0.0.2", port=port), Lossy("127.0.0.3", port=port)
    found, _ = await searched([prompt, lossy], networks("127.0.0.2", "127.0.0.3"))
    assert sorted(one.host for one in found) == ["127.0.0.2", "127.0.0.3"]
    assert (len(prompt.received), len(lossy.received)) == (1, 2)


async def test_a_cancelled_search_leaves_no_socket_and_no_task(port):
    """The loop warns about both; a warning is an error in this suite."""
    before = asyncio.all_tasks()
    async with aclosing(SerialAdapter.look_in_networks(networks("127.0.0.2", answer_seconds=600.0))) as steps:
        assert isinstance(await anext(steps), Progress)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_nothing_is_sent_where_nothing_may_be_asked(port):
    steps = [step async for step in SerialAdapter.look_in_networks(networks())]
    assert steps == []


async def test_what_is_announced_is_found_at_its_port_unless_it_has_answered(port):
    announced = [
        Announcement(service="_pjlink._tcp", name="Hall", host="127.0.0.2", port=port),
        Announcement(service="_pjlink._tcp", name="Lobby", host="127.0.0.3", port=4353),
        Announcement(service="_pjlink._tcp", name="Elsewhere", host="127.0.0.9", port=4352),
        Announcement(service="_videohub._tcp", name="Rack", host="127.0.0.3", port=9990),
        Announcement(service="_http._tcp", name="Page", host="127.0.0.4", port=80),
    ]
    addresses = frozenset({"127.0.0.2", "127.0.0.3", "127.0.0.4"})
    named = networks("127.0.0.2", addresses=addresses, announcements=announced)
    found, _ = await searched([SearchedProjector("127.0.0.2", port=port)], named)
    assert [(one.host, one.kind) for one in found] == [
        ("127.0.0.2", "PJLink class 2"),
        ("127.0.0.3", "PJLink"),
        ("127.0.0.3", "Blackmagic Videohub"),
    ]
    assert [one.entry["ports"] for one in found[1:]] == [
        [{"port": "tcp://127.0.0.3:4353", "profiles": ["pjlink"]}],
        [{"port": "tcp://127.0.0.3:9990", "profiles": ["blackmagic-videohub"]}],
    ]
    assert all(profile in PROFILE_FILES.load() for _, profile in ANNOUNCED_AS.values())
