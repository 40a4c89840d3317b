"""Every adapter looks into what was named, none costs another its look, and nothing that nobody has named gets through."""

import asyncio
import errno
import os
from ipaddress import IPv4Interface

import pytest

from gateway.adapter import Announcement, NetworkHost, Progress, SearchSummary
from gateway.network_search import interfaces, search
from gateway.network_search.named_hosts import parse_networks
from gateway.network_search.search import NetworkSearch, entries_of, merged_entries
from gateway.network_search.service_types import EVIDENCE, service_title, service_types
from gateway.testing.devices import SyntheticAdapter, SyntheticBus

METER = NetworkHost(
    host="10.0.0.1", kind="Modbus TCP", evidence={"connection": "accepted"}, entry={"hosts": ["10.0.0.1"], "n": 1}
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No interface faces what is named, so nothing is asked by multicast."""
    monkeypatch.setattr(search, "own_interfaces", list)


def looking(*steps, announced=()):
    """Return an adapter whose look yields these steps and raises those that are errors."""

    class Looking(SyntheticAdapter.on(SyntheticBus([]))):
        announced_as = announced
        asked = None

        @classmethod
        async def look_in_networks(cls, networks):
            cls.asked = networks
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                yield step

    return Looking


async def searched(texts=("10.0.0.0/30",), **adapters):
    tables, steps = {}, []
    network = NetworkSearch(adapters, parse_networks(texts), answer_seconds=0.1)

    async def on_found(hosts):
        tables.update(entries_of(hosts))

    await network.run(on_found=on_found, on_step=lambda *step: steps.append(step))
    return network, tables, steps


async def test_what_each_adapter_finds_becomes_one_entry_of_its_type():
    other = NetworkHost(host="10.0.0.2", kind="Modbus TCP", entry={"hosts": ["10.0.0.2"], "n": 1})
    progress, summary = Progress(1, 2, "10.0.0.1"), SearchSummary(2, 2, "asked 2 hosts: 2 answered")
    network, tables, steps = await searched(synthetic=looking(METER, progress, other, summary), quiet=looking())
    assert tables == {"synthetic": {"hosts": ["10.0.0.1", "10.0.0.2"], "n": 1}} == entries_of(network.found)
    assert steps == [("synthetic", progress)]
    assert network.summaries.pop("DNS-SD").advice == search.NO_INTERFACE
    assert network.summaries == {"synthetic": summary}
    assert network.problems == {}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (looking(METER, RuntimeError("its author slept")), "a bug in the adapter: RuntimeError: its author slept"),
        (looking(METER, SystemExit(3)), "`look_in_networks` raised SystemExit: 3"),
        (looking(METER, NetworkHost(host="10.0.0.9", kind="x")), "a host that nobody has named"),
        (looking(METER, NetworkHost(host="10.0.0.1", kind="x", entry=[])), "a host whose entry is no table"),
        (looking(METER, NetworkHost(host="10.0.0.1", kind=7)), "a host whose kind is of the type int"),
        (looking(METER, "10.0.0.1"), "something of the type str as a host"),
        (looking(METER, Progress("one", 2, "")), "a Progress whose fields have wrong types"),
    ],
)
async def test_an_adapter_that_fails_says_why_and_keeps_what_it_found(broken, says):
    network, tables, _ = await searched(broken=broken, synthetic=looking(METER))
    assert says in network.problems["broken"]
    assert set(tables) == {"broken", "synthetic"}
    assert [one.adapter for one in network.found] == ["broken", "synthetic"]


async def test_texts_of_a_host_are_made_printable_and_short():
    host = NetworkHost(host="10.0.0.1", kind="\x1b[31m" + "k" * 100, evidence={"asked": "told\n" * 400})
    network, _, _ = await searched(synthetic=looking(host))
    (found,) = network.found
    assert found.host.kind.isprintable()
    assert len(found.host.kind) == 60
    assert len(found.host.evidence["asked"]) <= 300


async def test_an_adapter_that_finds_hosts_without_end_is_ended(monkeypatch):
    monkeypatch.setattr(search, "MOST_FOUND", 3)
    network, _, _ = await searched(endless=looking(*[METER] * 10))
    assert len(network.found) == 3
    assert "more than 3 hosts" in network.problems["endless"]


async def test_a_look_that_never_ends_is_left_after_a_while_with_what_it_found(monkeypatch):
    monkeypatch.setattr(search, "LOOK_SECONDS", 0.2)

    class Endless(looking()):
        @classmethod
        async def look_in_networks(cls, networks):
            yield METER
            await asyncio.sleep(600)

    network, tables, _ = await searched(endless=Endless)
    assert tables == {"endless": METER.entry}
    assert network.problems == {}


async def test_a_cancelled_search_closes_each_look():
    closed, begun = [], asyncio.Event()

    class Long(looking()):
        @classmethod
        async def look_in_networks(cls, networks):
            try:
                begun.set()
                yield METER
                await asyncio.sleep(600)
            finally:
                closed.append(cls)

    task = asyncio.create_task(searched(long=Long))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [Long]


async def test_a_name_that_nobody_knows_is_told_and_the_rest_is_searched(monkeypatch):
    async def no_address(name):
        return []

    monkeypatch.setattr(search, "_addresses_of_name", no_address)
    network, tables, _ = await searched(["10.0.0.1", "meter.invalid"], synthetic=looking(METER))
    assert network.problems == {"meter.invalid": "nobody knows an address of this name"}
    assert set(tables) == {"synthetic"}
    assert network.host_count == 1


async def test_an_adapter_gets_the_announcements_of_its_types_and_each_host_has_its_own(monkeypatch):
    said = [
        Announcement(service=service, name="one", host=host, port=80)
        for service, host in (("_modbus._tcp", "10.0.0.1"), ("_http._tcp", "10.0.0.1"), ("_http._tcp", "10.0.0.2"))
    ]
    asked = {}

    async def heard(services, interfaces, addresses, seconds):
        asked.update(services=services, interfaces=interfaces, addresses=addresses)
        return said

    monkeypatch.setattr(search, "browse", heard)
    monkeypatch.setattr(search, "own_interfaces", lambda: [IPv4Interface("10.0.0.3/24"), IPv4Interface("192.168.1.3/24")])
    adapter = looking(METER, announced=("_modbus._tcp", "not a type"))
    network, _, _ = await searched(synthetic=adapter)
    assert asked == {"services": [*EVIDENCE, "_modbus._tcp"], "interfaces": ["10.0.0.3"], "addresses": {"10.0.0.1", "10.0.0.2"}}
    assert list(adapter.asked.announcements) == said[:1]
    (found,) = network.found
    assert {one.service for one in found.announcements} == {"_modbus._tcp", "_http._tcp"}
    assert network.unused_announcements == said[2:]
    assert network.summaries["DNS-SD"].text == "listened to announcements over one interface: 3 of the named hosts"


@pytest.mark.parametrize("announced", [None, 7, "_modbus._tcp", [b"x", None], {"_modbus._tcp": 1}])
async def test_an_adapter_that_names_no_service_types_costs_nobody_the_search(announced):
    network, tables, _ = await searched(broken=looking(METER, announced=announced), synthetic=looking(METER))
    assert set(tables) == {"broken", "synthetic"}
    assert network.problems == {}


async def test_where_announcements_cannot_be_heard_the_adapters_look_all_the_same(monkeypatch):
    async def broken(*_):
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(search, "browse", broken)
    monkeypatch.setattr(search, "own_interfaces", lambda: [IPv4Interface("10.0.0.3/24")])
    network, tables, _ = await searched(synthetic=looking(METER))
    assert "Cannot assign requested address" in network.problems["DNS-SD"]
    assert set(tables) == {"synthetic"}


async def test_nothing_is_searched_where_nothing_is_named():
    adapter = looking(METER)
    network, tables, _ = await searched([], synthetic=adapter)
    assert (network.found, tables, adapter.asked) == ([], {}, None)


def test_lists_of_two_entries_are_put_together_each_element_once():
    one, other = {"hosts": ["a", "b"], "units": "1"}, {"hosts": ["b", "c"], "units": "2", "ports": ["p"]}
    assert merged_entries(one, other) == {"hosts": ["a", "b", "c"], "units": "2", "ports": ["p"]}
    assert one["hosts"] == ["a", "b"]


def test_only_service_types_are_asked_for_and_only_so_many():
    assert service_types(["_modbus._tcp", "_modbus._tcp", "_a b._tcp", "modbus", 7, "_much-too-long-a-name._tcp"]) == [
        *EVIDENCE,
        "_modbus._tcp",
    ]
    assert len(service_types(f"_t{number}._tcp" for number in range(500))) == 64
    assert (service_title("_mbap._tcp"), service_title("_new._udp")) == ("Modbus TCP", "_new._udp")


@pytest.mark.enable_socket
def test_the_interfaces_are_known_without_a_netlink_socket_as_well(monkeypatch):
    """The service of systemd may open none, so that the library fails there."""
    loopback = IPv4Interface("127.0.0.1/8")
    assert loopback in interfaces.own_interfaces()

    def refused():
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr("ifaddr.get_adapters", refused)
    assert loopback in interfaces.own_interfaces()
