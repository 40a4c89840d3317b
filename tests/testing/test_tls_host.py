"""What clients see of a simulated TCP host that speaks TLS."""

from __future__ import annotations

import asyncio
import ssl
import struct

import pytest
import trustme
from pymodbus.client import ModbusTlsClient

from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket

VOLTAGE = struct.pack(">HHHB", 1, 0, 6, 1) + bytes.fromhex("04 0000 0002")
VOLTAGE_TOLD = struct.pack(">HHHB", 1, 0, 7, 1) + b"\x04\x04" + struct.pack(">f", 230)
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_of(authority, *, has_certificate=True):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if has_certificate:
        authority.issue_cert("gateway.local").configure_cert(context)
    return context


async def first_byte(host, client):
    reader, writer = await asyncio.open_connection(host.host, host.port, ssl=client)
    writer.write(VOLTAGE)
    await reader.readexactly(1)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_a_client_with_a_certificate_is_served(meter, authority, server, version):
    client = client_of(authority)
    client.minimum_version = client.maximum_version = version
    async with asyncio.timeout(60), ModbusTcpHost([meter], tls=server) as host:
        reader, writer = await asyncio.open_connection(host.host, host.port, ssl=client)
        for _ in range(3):
            writer.write(VOLTAGE)
            assert await reader.readexactly(len(VOLTAGE_TOLD)) == VOLTAGE_TOLD
        await host.hang_up()
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    ("version", "alert"),
    [(ssl.TLSVersion.TLSv1_2, "HANDSHAKE_FAILURE"), (ssl.TLSVersion.TLSv1_3, "CERTIFICATE_REQUIRED")],
    ids=VERSIONS,
)
async def test_a_client_without_a_certificate_is_told_by_an_alert(meter, authority, server, version, alert):
    client = client_of(authority, has_certificate=False)
    client.minimum_version = client.maximum_version = version
    async with asyncio.timeout(60), ModbusTcpHost([meter], tls=server) as host:
        with pytest.raises(ssl.SSLError, match=alert):
            await first_byte(host, client)


async def test_pymodbus_reads_through_tls(meter, authority, server):
    context = client_of(authority)
    context.check_hostname = False  # pymodbus does not tell it

    def talk(host) -> list[int]:
        with ModbusTlsClient(host.host, port=host.port, sslctx=context, timeout=5) as client:
            return client.read_holding_registers(100, count=4, device_id=1).registers

    async with ModbusTcpHost([meter], tls=server) as host:
        assert await asyncio.to_thread(talk, host) == [0, 1, 2, 3]
