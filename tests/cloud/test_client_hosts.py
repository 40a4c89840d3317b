"""A key travels only to a hub that it may travel to; everything else is refused before anything is sent."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, encode_path, validated_hub_url
from gateway.errors import HubUnreachable, SettingsError
from gateway.hub import GatewayRegistration

pytestmark = pytest.mark.enable_socket

PUBLIC = "https://entry.xyte.io"
PRIVATE = "https://provisioning.example.com"


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ("https://us-1.endpoints.xyte.io", "https://us-1.endpoints.xyte.io"),
        ("us-1.endpoints.xyte.io/", "https://us-1.endpoints.xyte.io"),
        ("//us-1.endpoints.xyte.io", "https://us-1.endpoints.xyte.io"),
        ("HTTPS://US-1.Endpoints.XYTE.io:8443", "https://us-1.endpoints.xyte.io:8443"),
        ("https://us-1.cssl.endpoints.xyte.io.", "https://us-1.cssl.endpoints.xyte.io."),
        ("https://xyte.io", "https://xyte.io"),
    ],
)
def test_a_hub_of_the_public_service_is_trusted_by_its_entry_server(told, used):
    assert validated_hub_url(told, entry_url=PUBLIC) == used


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("https://attacker.example", "is not a hub of entry.xyte.io"),
        ("https://evilxyte.io", "is not a hub"),
        ("https://us-1.endpoints.xyte.io.attacker.example", "is not a hub"),
        ("https://attacker.example/us-1.endpoints.xyte.io", "a path, a query or a fragment"),
        ("https://attacker.example?.xyte.io", "a path, a query or a fragment"),
        ("https://attacker.example#.xyte.io", "a path, a query or a fragment"),
        ("https://us-1.xyte.io/v1", "a path, a query or a fragment"),
        ("https://us-1.xyte.io?", "a path, a query or a fragment"),
        ("https://us-1.endpoints.xyte.io@attacker.example", "a user name"),
        ("https://u:p@us-1.endpoints.xyte.io", "a user name"),
        (r"https://attacker.example\.xyte.io", "no usable host"),
        ("https://attacker.example%2f.xyte.io", "no usable host"),
        ("https://us-1.xy te.io", "no usable host"),
        ("https://us-1.xy\tte.io", "no usable host"),
        ("https://us-1.xyte\u3002io", "no usable host"),
        ("https://.xyte.io", "no usable host"),
        (f"https://{'a' * 64}.xyte.io", "no usable host"),
        ("https://", "no usable host"),
        ("https:///v1", "no usable host"),
        ("", "no usable host"),
        ("https://us-1.xyte.io:0", "no usable host"),
        ("https://us-1.xyte.io:99999", "is not a valid URL"),
        ("https://us-1.xyte.io:https", "is not a valid URL"),
        ("https://[::1", "is not a valid URL"),
        ("http://us-1.endpoints.xyte.io", "`allow_plain_http`"),
        ("ftp://us-1.endpoints.xyte.io", "neither https nor http"),
        ("mqtts://us-1.endpoints.xyte.io", "neither https nor http"),
        ("javascript:alert(1)", "is not a valid URL"),
        ("https://203.0.113.7", "is not a hub"),
    ],
)
def test_an_address_that_is_not_a_hub_of_the_public_service_is_refused(told, why):
    with pytest.raises(UntrustedUrl, match=why):
        validated_hub_url(told, entry_url=PUBLIC)


@pytest.mark.parametrize(
    ("told", "hosts", "trusted"),
    [
        ("https://hub.example.com", (), True),
        ("https://elsewhere.example", (), True),
        ("https://203.0.113.7", (), False),
        ("https://[2001:db8::7]:8443", (), False),
        ("https://127.1", (), False),
        ("https://0x7f000001", (), False),
        ("https://2130706433.", (), False),
        ("https://203.0.113.7", ("203.0.113.7",), True),
        ("https://[2001:db8::7]", ("2001:db8::7",), True),
        ("https://hub.example.com", ("HUB.example.com",), True),
        ("https://hub.example.com.", ("hub.example.com",), True),
        ("https://a.b.example.com", ("*.example.com",), True),
        ("https://example.com", ("*.example.com",), False),
        ("https://notexample.com", ("*.example.com",), False),
        ("https://elsewhere.example", ("hub.example.com",), False),
        ("https://us-1.endpoints.xyte.io", ("hub.example.com",), False),
    ],
)
def test_a_private_deployment_trusts_any_name_unless_the_settings_list_some(told, hosts, trusted):
    if trusted:
        assert validated_hub_url(told, entry_url=PRIVATE, hub_hosts=hosts) == told
    else:
        with pytest.raises(UntrustedUrl, match="`hub_hosts`"):
            validated_hub_url(told, entry_url=PRIVATE, hub_hosts=hosts)


def test_the_settings_may_add_a_host_to_the_public_service():
    assert validated_hub_url("https://hub.example.com", entry_url=PUBLIC, hub_hosts=("hub.example.com",))
    assert validated_hub_url("https://us-1.xyte.io", entry_url=PUBLIC, hub_hosts=("hub.example.com",))


def test_a_laboratory_may_use_plain_http_and_bare_addresses():
    assert (
        validated_hub_url("http://127.0.0.1:8080/", entry_url="http://127.0.0.1:1", allow_plain_http=True)
        == "http://127.0.0.1:8080"
    )


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_path_cannot_be_climbed(segment):
    with pytest.raises(ValueError, match="cannot be empty"):
        encode_path("v1", "devices", segment)


async def test_a_registration_that_names_a_bad_hub_keeps_its_key_and_sends_it_nowhere(access, entry, hub_server):
    entry.answers({"id": "d", "access_key": "the-key-of-d", "hub_url": hub_server.url}, status=201)
    calls = []
    guarded = replace(access, hub_hosts=("hub.example.com",))
    async with HttpHub(guarded, on_call=lambda *call: calls.append(call)) as hub:
        credentials = await hub.register_device(
            GatewayRegistration(hardware_key=SecretStr("hk-1"), serial_number="S", firmware_version="1.0.0")
        )
        with pytest.raises(HubUnreachable, match=r"Get Command: the hub of d: 127.0.0.1 is not a hub of .*`hub_hosts`") as caught:
            await hub.get_command(credentials)
    assert credentials.access_key.get_secret_value() == "the-key-of-d"
    assert not caught.value.maybe_done
    assert hub_server.arrived == []
    assert [name for name, _, _ in calls] == ["Register Device"]


async def test_a_registration_without_a_hub_says_so_at_its_first_use(hub, parent):
    with pytest.raises(HubUnreachable, match="contains no hub_url"):
        await hub.get_command(replace(parent, hub_url=""))


async def test_the_static_certificate_hub_is_called_where_the_settings_say_so(access, entry, hub_server, parent):
    hub_server.answers({})
    static = replace(parent, hub_url="http://unused.invalid", hub_url_static_cert=hub_server.url)
    async with HttpHub(replace(access, use_static_cert=True)) as hub:
        assert await hub.get_command(static) is None
        with pytest.raises(HubUnreachable, match="contains no hub_url_static_cert"):
            await hub.get_command(parent)
    assert len(hub_server.arrived) == 1


@pytest.mark.parametrize("url", ["https://operator:hunter2@us-1.endpoints.xyte.io", "http://hunter2@us-1.endpoints.xyte.io:8080"])
def test_a_password_in_a_url_is_refused_and_in_no_text(url):
    with pytest.raises(UntrustedUrl, match=r"a user name before us-1\.endpoints\.xyte\.io") as caught:
        validated_hub_url(url, entry_url=PUBLIC, allow_plain_http=True)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError) as refused:
        HttpHub(CloudAccess(entry_url=url, allow_plain_http=True))
    assert "hunter2" not in str(refused.value)


async def test_a_hub_url_with_a_password_is_not_called_and_the_password_is_in_no_text(hub, hub_server, parent):
    address = hub_server.url.removeprefix("http://")
    with pytest.raises(HubUnreachable, match="a user name before") as caught:
        await hub.get_command(replace(parent, hub_url=f"http://operator:hunter2@{address}"))
    assert "hunter2" not in str(caught.value)
    assert not caught.value.maybe_done
    assert hub_server.arrived == []


async def test_a_password_in_a_redirect_is_in_no_text(hub, hub_server, parent):
    hub_server.answers({}, status=302, headers={"Location": "https://operator:hunter2@elsewhere.example/"})
    with pytest.raises(HubUnreachable, match=r"points to elsewhere\.example") as caught:
        await hub.get_command(parent)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"])
async def test_a_name_that_resolves_to_a_metadata_service_gets_no_connection(monkeypatch, access, child, address):
    async def resolve(_resolver, host, port=0, family=0):
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [{"hostname": host, "host": address, "port": port, "family": kind, "proto": 0, "flags": socket.AI_NUMERICHOST}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    monkeypatch.setattr("aiohttp.connector.DefaultResolver.resolve", resolve)
    async with HttpHub(access) as hub:
        with pytest.raises(HubUnreachable, match=r"hub\.example has an address of the local link or of a cloud's") as caught:
            await hub.get_command(replace(child, hub_url="http://hub.example"))
        assert not caught.value.maybe_done
        with pytest.raises(HubUnreachable, match=r"files\.example has an address of the local link"):
            async with hub.open_file("http://files.example/a"):
                pass
