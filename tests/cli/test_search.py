"""`xyte-gateway search` finds Modbus hosts and projectors on loopback, identifies them, and says how to add them."""

import dataclasses
import json
import secrets
from importlib import import_module

import pytest

from gateway.adapter import Announcement, Confidence, Found, Identity, IdentityKind, NetworkHost, SearchSummary
from gateway.first_start.first_look import ScannedBus
from gateway.network_search.named_hosts import parse_networks
from gateway.network_search.search import FoundHost, NetworkSearch
from gateway.testing.demo_devices import tcp_units
from gateway.testing.modbus import ModbusTcpHost
from gateway.testing.serial import DeviceServer, Projector, SearchedProjector

pytestmark = pytest.mark.enable_socket

search_module = import_module("gateway.cli.search")


@pytest.fixture
def address():
    """An address of loopback that no other test on this machine uses: port 4352 is given."""
    return "127." + ".".join(str(1 + byte % 253) for byte in secrets.token_bytes(3))


@pytest.fixture
async def projector(address):
    device = Projector(pjlink_class=2, manufacturer="NEC", model="P506QL")
    async with SearchedProjector(address) as searched, DeviceServer(device, host=address, port=4352) as server:
        server.searches = searched.received
        yield server


@pytest.fixture
async def meters(address):
    async with ModbusTcpHost(tcp_units(), host=address) as host:
        yield host


async def test_hosts_are_found_identified_and_shown_with_the_lines_that_add_them(type_in, projector, meters, address):
    named = address, f"{address}:{meters.port}"
    code, out, err = await type_in("search", *named, "--for", "60", "--json")  # it ends as soon as all have answered
    assert code == 0, err
    told = json.loads(out)
    assert told["networks"] == list(named)
    found = {one["host"]: one for one in told["found"]}
    assert set(found) == set(named)
    hall, plant = found[address], found[named[1]]
    assert (hall["adapter"], hall["kind"]) == ("serial", "PJLink class 2")
    assert hall["evidence"] == {"%2SRCH to UDP port 4352": "%2ACKN=00:1B:C5:00:B0:01"}
    (device,) = hall["devices"]
    assert (device["manufacturer"], device["profile"], device["confidence"]) == ("NEC", "pjlink", "certain")
    assert any("PJLINK 0" in answer for answer in device["evidence"].values())
    assert not any("9600" in f"{asked} {told}" for asked, told in device["evidence"].items()), "TCP has no speed"
    assert plant["kind"] == "Modbus TCP"
    assert {one["family"] for one in plant["devices"]} == {"power-meter", "inverter", "io-module"}
    assert told["configuration"].count("[[adapter]]") == 2
    assert f'ports = [{{ port = "tcp://{address}:4352", profiles = ["pjlink"] }}]' in told["configuration"]
    assert {one["adapter"]: one["answered"] for one in told["searches"]} == {"modbus": 1, "serial": 1, "DNS-SD": 0}
    assert told["problems"] == []
    assert all(one.split(" ")[1].startswith("?") for one in projector.devices[0].requests), "something was written"


def results_of(*found, announced=(), **summaries):
    """Return the results of a search that has found these hosts, the first with a device."""
    network = NetworkSearch({}, parse_networks(["10.0.0.0/29"]))
    network.found.extend(found)
    network.announcements = announced
    network.summaries.update(summaries)
    projector = Found(
        address="pjlink",
        identity=Identity(IdentityKind.SERIAL_NUMBER, "nec/1"),
        name="NEC P506QL",
        profile="pjlink",
        confidence=Confidence.CERTAIN,
    )
    quiet, closed = (
        ScannedBus("modbus", "10.0.0.2:502", is_done=True),
        ScannedBus("serial", "tcp://10.0.0.4:4352", problem="it refuses"),
    )
    buses = [ScannedBus("serial", "tcp://10.0.0.1:4352", devices={"pjlink": projector}), quiet, closed]
    return search_module._Results(network, {index: [bus] for index, bus in enumerate(buses[: len(found)])})


def test_the_table_has_the_evidence_and_the_lines_can_be_copied(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    page = Announcement(service="_http._tcp", name="Hall \x1b[31m", host="10.0.0.1", port=80)
    shelly = Announcement(service="_shelly._tcp", name="shelly3em", host="10.0.0.3", port=80)
    ports = [{"port": "tcp://10.0.0.1:4352", "profiles": ["pjlink"]}]
    hall = NetworkHost(host="10.0.0.1", kind="PJLink class 2", evidence={"%2SRCH": "%2ACKN=00"}, entry={"ports": ports})
    quiet = NetworkHost(host="10.0.0.2", kind="Modbus TCP", entry={"hosts": ["10.0.0.2"]})
    closed = NetworkHost(host="10.0.0.4", kind="PJLink class 2", entry={"ports": [{"port": "tcp://10.0.0.4:4352"}]})
    found = FoundHost("serial", hall, (page,)), FoundHost("modbus", quiet, ()), FoundHost("serial", closed, ())
    results = results_of(*found, announced=(page, shelly), modbus=SearchSummary(6, 1, "connected to 6 hosts", "look again"))
    search_module._show(results)
    out = capsys.readouterr().out
    rows = [line.split("  ") for line in out.splitlines()]
    (row,) = [[cell.strip() for cell in cells if cell] for cells in rows if cells[0].strip() == "10.0.0.1"]
    assert row[:3] == ["10.0.0.1", "PJLink class 2", "NEC P506QL at pjlink (pjlink)"]
    assert row[3].startswith("%2SRCH: %2ACKN=00; announces web page “Hall ")
    assert "\x1b" not in out
    assert "none that answers" in out
    assert "Shelly at port 80" in out
    assert "3 found in 6 hosts" in out
    assert "look again" not in out
    assert "it refuses" in out
    assert "tcp://10.0.0.4" not in out
    assert '[[adapter]]\ntype = "serial"\nports = [{ port = "tcp://10.0.0.1:4352", profiles = ["pjlink"] }]' in out
    assert '[[adapter]]\ntype = "modbus"\nhosts = ["10.0.0.2"]' in out


def test_what_a_device_needs_is_shown_below_the_table(capsys):
    hall = NetworkHost(host="10.0.0.1", kind="PJLink class 2", entry={"ports": [{"port": "tcp://10.0.0.1:4352"}]})
    results = results_of(FoundHost("serial", hall, ()))
    devices = results.buses[0][0].devices
    devices["pjlink"] = dataclasses.replace(devices["pjlink"], needs="it needs a password: [b]")
    search_module._show(results)
    assert "10.0.0.1 pjlink: it needs a password: [b]\n" in capsys.readouterr().err


def test_where_nothing_is_found_what_to_check_is_said(capsys):
    summary = SearchSummary(6, 0, "asked 6 addresses: none answered", "projectors of class 1 do not answer a search")
    search_module._show(results_of(serial=summary))
    out = capsys.readouterr().out
    assert "0 found in 6 hosts" in out
    assert "none answered; projectors of class 1 do not answer a search" in out
    assert "no firewall is in between" in out
    assert "[[adapter]]" not in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["10.0.0.0/8"], "10.0.0.0/8 has 16,777,216 addresses: name networks of at most 1,024"),
        (["meter", "two words"], "'two words' is neither a host nor a network"),
        ([","], "name what may be searched"),
        (["10.0.0.1", "--for", "0"], "greater than or equal to 1"),
    ],
)
async def test_what_cannot_be_searched_is_said_before_anything_is_sent(type_in, arguments, says):
    code, _, err = await type_in("search", *arguments)
    assert code == 2
    assert says in err


async def test_a_name_that_nobody_knows_is_a_failure_with_its_reason(type_in):
    code, out, _ = await type_in("search", "meter.invalid", "--for", "1", "--json")
    assert code == 1
    told = json.loads(out)
    assert told["problems"] == [{"what": "meter.invalid", "problem": "nobody knows an address of this name"}]
    assert (told["hosts"], told["searches"]) == (0, [])
    code, out, err = await type_in("search", "meter.invalid", "--for", "1")
    assert (code, out) == (1, "")
    assert "meter.invalid: nobody knows an address of this name" in err
