"""The hub with the static certificate: another host, another port, another authority; 1.1 and 17.30 of the reference."""

import ssl
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import trustme
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.emulator import Emulator, ServerAddress
from gateway.errors import HubUnreachable
from gateway.hub import GatewayRegistration, TelemetryMessage
from gateway.models import Status
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

GATEWAY = GatewayRegistration(
    hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"),
    serial_number="GW-1",
    cloud_id="ZzQ7k3V9mT2xB8nL5pR1sW",
    firmware_version="1.0.0",
)
ONLINE = TelemetryMessage(status=Status.ONLINE, values={})


@pytest.fixture(scope="module")
def authorities():
    return {"ordinary": trustme.CA(), "static": trustme.CA()}


@pytest.fixture
async def emulator(authorities):
    contexts = {}
    for name, host in (("ordinary", "127.0.0.1"), ("static", "127.0.0.2")):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authorities[name].issue_cert(host).configure_cert(contexts[name])
    address = ServerAddress(ssl_context=contexts["ordinary"], static_ssl_context=contexts["static"])
    async with Emulator(address) as running:
        yield running


@pytest.fixture
def trusting(authorities, tmp_path):
    def ca_file(*names):
        path = tmp_path / f"{'-'.join(names)}.pem"
        path.write_bytes(b"".join(authorities[name].cert_pem.bytes() for name in names))
        return path

    return ca_file


@pytest.fixture
def client(emulator, trusting):
    def make(*names, static):
        access = CloudAccess(
            entry_url=emulator.entry_url, ca_file=trusting(*names), use_static_cert=static, hub_hosts=("127.0.0.1", "127.0.0.2")
        )
        return HttpHub(access)

    return make


def servers_called(emulator):
    return [entry.server for entry in emulator.journal.entries()]


async def test_the_two_hubs_have_different_hosts_ports_and_authorities(emulator, client):
    async with client("ordinary", static=False) as hub:
        credentials = await hub.register_device(GATEWAY)
    ordinary, static = urlsplit(credentials.hub_url), urlsplit(credentials.hub_url_static_cert)
    assert (credentials.hub_url, credentials.hub_url_static_cert) == (emulator.hub_url, emulator.static_hub_url)
    assert ordinary.hostname != static.hostname
    assert ordinary.port != static.port
    assert {ordinary.scheme, static.scheme} == {"https"}


@pytest.mark.parametrize(("names", "static", "server"), [(("ordinary",), False, "hub"), (("ordinary", "static"), True, "static")])
async def test_the_chosen_hub_is_called_with_its_own_authority(emulator, client, names, static, server):
    async with client(*names, static=static) as hub:
        await hub.send_telemetry(await hub.register_device(GATEWAY), ONLINE)
    assert servers_called(emulator) == ["entry", server]


@pytest.mark.parametrize(
    ("names", "static", "called"),
    [
        (("ordinary",), True, ["entry"]),  # the hub's authority is missing
        (("static",), True, []),  # the entry server's is
        (("static",), False, []),
    ],
)
async def test_a_wrong_authority_shows_before_a_key_is_sent(emulator, client, names, static, called):
    async with client(*names, static=static) as hub:
        with pytest.raises(HubUnreachable, match=r"cannot be trusted.*`ca_file`") as caught:
            await hub.send_telemetry(await hub.register_device(GATEWAY), ONLINE)
    assert not caught.value.maybe_done
    assert servers_called(emulator) == called


@pytest.mark.parametrize(
    ("hub", "names", "server"), [("hub_url", ("ordinary",), "hub"), ("hub_url_static_cert", ("ordinary", "static"), "static")]
)
async def test_the_gateway_makes_all_calls_to_the_hub_of_its_setting(emulator, running, until, trusting, hub, names, server):
    device = SyntheticDevice("1", "a1", poll_every=timedelta(milliseconds=100))
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device]))}
    cloud = {"hub": hub, "ca_file": trusting(*names)}
    async with running(adapters, {"type": "synthetic"}, cloud=cloud):
        await until(lambda: any("power" in one.state for one in emulator.cloud.devices.values()))
    assert set(servers_called(emulator)) == {"entry", server}


async def test_a_gateway_that_lacks_the_authority_of_its_hub_says_so_and_sends_nothing_there(
    emulator, running, until, trusting, caplog
):
    cloud = {"hub": "hub_url_static_cert", "ca_file": trusting("ordinary")}
    async with running({}, cloud=cloud):
        await until(lambda: "cannot be trusted" in caplog.text)
    assert set(servers_called(emulator)) == {"entry"}
