"""Modbus over TLS: who proves what to whom, and what is said when a proof fails; real sockets and certificates."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from adapters.modbus import ModbusAdapter
from adapters.modbus.client import tls as tls_module
from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.client.tls_settings import TlsSettings
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import BusUnavailable, Found
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit
from gateway.testing.modbus import Table as Tables

pytestmark = pytest.mark.enable_socket

READ = ReadRequest(Table.HOLDING, 0, 1)
PATIENT = RetryPolicy(5)
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Plant:
    """An authority, a device with a certificate of it, and the files of the gateway."""

    def __init__(self, folder, **device):
        self.folder = folder
        self.authority = trustme.CA()
        self.of_device = self.authority.issue_cert("127.0.0.1", **device)
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.issue("gateway")

    def issue(self, name, authority=None, **settings):
        made = (authority or self.authority).issue_cert("gateway.local", **settings)
        made.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")
        made.private_key_pem.write_to_path(self.folder / f"{name}.key")
        return made

    def server(self, *, version=None, wants_client=True, trusts=None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.of_device.configure_cert(context)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            (trusts or self.authority).configure_trust(context)
        return context

    def keys(self, name="gateway", **changes):
        keys = {"ca_file": self.folder / "ca.pem"}
        if name is not None:
            keys |= {"certificate_file": self.folder / f"{name}.pem", "key_file": self.folder / f"{name}.key"}
        return {key: value for key, value in (keys | changes).items() if value is not None}

    @property
    def fingerprint(self) -> str:
        der = ssl.PEM_cert_to_DER_cert(self.of_device.cert_chain_pems[0].bytes().decode())
        return hashlib.sha256(der).hexdigest()


@pytest.fixture
def plant(tmp_path) -> Plant:
    return Plant(tmp_path)


def unit():
    return SimulatedUnit(1, registers={Tables.HOLDING_REGISTERS: {0: 7}})


@asynccontextmanager
async def serving(context):
    async with ModbusTcpHost([unit()], tls=context) as host:
        yield host


async def answered(host, **tls):
    """Read one register through TLS, as the gateway would."""
    link = Link(TcpHost(host=host.host, port=host.port, tls=TlsSettings(**tls)))
    try:
        await link.open()
        return await link.ask(1, READ, PATIENT)
    finally:
        link.close()


async def refusal(host, **tls) -> str:
    with pytest.raises(BusUnavailable) as error:
        await answered(host, **tls)
    text = str(error.value)
    assert text.startswith(f"{host.host}:{host.port}: ")
    return text.partition(": ")[2]


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_both_sides_prove_who_they_are(plant, version):
    async with serving(plant.server(version=version)) as host:
        assert await answered(host, **plant.keys()) == b"\0\7"


async def test_the_whole_adapter_works_through_tls(plant, settings):
    async with serving(plant.server()) as host:
        keys = {key: str(file) for key, file in plant.keys().items()}
        given = settings(hosts=[{"host": host.host, "port": host.port, "tls": keys}], units="1-3", scan_timeout=0.1)
        async with ModbusAdapter(given) as adapter:
            found = [step.address async for step in adapter.discover() if isinstance(step, Found)]
    assert found == ["1"]


async def test_a_device_that_has_only_the_oldest_cipher_suite_of_tls_1_2_is_read(tmp_path):
    plant = Plant(tmp_path, key_type=trustme.KeyType.RSA)
    context = plant.server(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA")
    async with serving(context) as host:
        assert await answered(host, **plant.keys()) == b"\0\7"


# the certificate of the host ------------------------------------------------------------------------------------------------


async def test_a_host_of_an_unknown_authority_is_refused_and_its_fingerprint_told(plant, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    shown = bytes.fromhex(plant.fingerprint).hex(":").upper()
    async with serving(plant.server()) as host:
        said = await refusal(host, **plant.keys(ca_file=tmp_path / "other.pem"))
    assert "its certificate is signed by" in said
    assert f"an authority that is not in {tmp_path}/other.pem" in said
    assert f'set fingerprint = "{shown}"' in said


async def test_the_authorities_of_this_machine_are_used_where_none_is_named(plant):
    async with serving(plant.server()) as host:
        assert "an authority that this machine does not know: name a file with it" in await refusal(
            host, **plant.keys(ca_file=None)
        )


async def test_a_fingerprint_is_enough(plant):
    async with serving(plant.server()) as host:
        pinned = plant.keys(ca_file=None, fingerprint=f"sha256:{bytes.fromhex(plant.fingerprint).hex(':').upper()}")
        assert await answered(host, **pinned) == b"\0\7"
        wrong = await refusal(host, **(pinned | {"fingerprint": "00" * 32}))
    assert (
        f"its certificate has the fingerprint {bytes.fromhex(plant.fingerprint).hex(':').upper()}, not the one that is set"
        in wrong
    )


async def test_a_certificate_is_enough_as_its_own_authority(plant, tmp_path):
    plant.of_device.cert_chain_pems[0].write_to_path(tmp_path / "device.pem")
    async with serving(plant.server()) as host:
        assert await answered(host, **plant.keys(ca_file=tmp_path / "device.pem")) == b"\0\7"


async def test_a_chain_with_an_authority_in_between_is_verified_by_either(plant, tmp_path):
    """pysunspec2 pull request 115: devices and clients whose certificates an intermediate authority signed."""
    between = plant.authority.create_child_ca()
    between.cert_pem.write_to_path(tmp_path / "between.pem")
    plant.of_device = between.issue_cert("127.0.0.1")
    ours = between.issue_cert("gateway.local")
    (tmp_path / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in ours.cert_chain_pems))
    ours.private_key_pem.write_to_path(tmp_path / "chain.key")
    async with serving(plant.server()) as host:
        assert await answered(host, **plant.keys("chain")) == b"\0\7"
        assert await answered(host, **plant.keys("chain", ca_file=tmp_path / "between.pem")) == b"\0\7"


async def test_a_host_name_is_verified_and_not_the_address_behind_it(tmp_path):
    """modbus-esp8266 pull request 360: the name was resolved first, and the certificate compared with the address."""
    plant = Plant(tmp_path)
    plant.of_device = plant.authority.issue_cert("localhost")
    async with serving(plant.server()) as host:
        assert await answered(TcpHost(host="localhost", port=host.port), **plant.keys()) == b"\0\7"


async def test_an_expired_certificate_is_refused_with_its_date(tmp_path):
    plant = Plant(tmp_path, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 2, 3, tzinfo=UTC))
    async with serving(plant.server()) as host:
        said = await refusal(host, **plant.keys())
        assert "its certificate has expired (2021-02-03 00:00 UTC): renew it, or correct the clock of this machine" in said
        assert await answered(host, **plant.keys(ca_file=None, fingerprint=plant.fingerprint)) == b"\0\7"


async def test_a_certificate_of_the_future_is_refused_with_its_date(tmp_path):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    plant = Plant(tmp_path, not_before=tomorrow)
    async with serving(plant.server()) as host:
        assert f"its certificate is not valid yet ({tomorrow:%Y-%m-%d}" in await refusal(host, **plant.keys())


async def test_a_certificate_for_another_name_is_refused_with_the_name_to_set(tmp_path):
    plant = Plant(tmp_path)
    plant.of_device = plant.authority.issue_cert("plc-7.local")
    async with serving(plant.server()) as host:
        said = await refusal(host, **plant.keys())
        assert 'its certificate is for plc-7.local, not for 127.0.0.1: set server_name = "plc-7.local"' in said
        assert await answered(host, **plant.keys(server_name="plc-7.local")) == b"\0\7"


async def test_a_certificate_with_a_common_name_only_is_accepted_by_that_name(tmp_path):
    plant = Plant(tmp_path)
    plant.of_device = plant.authority.issue_cert(common_name="plc-7.local")
    async with serving(plant.server()) as host:
        assert 'set server_name = "plc-7.local"' in await refusal(host, **plant.keys())
        assert await answered(host, **plant.keys(server_name="plc-7.local")) == b"\0\7"


async def test_nothing_is_read_from_a_host_that_is_not_verified(plant, tmp_path):
    class CountingUnit(SimulatedUnit):
        requests = 0

        def answer(self, request):
            self.requests += 1
            return super().answer(request)

    counting = CountingUnit(1, registers={Tables.HOLDING_REGISTERS: {0: 7}})
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with ModbusTcpHost([counting], tls=plant.server(wants_client=False)) as host:
        await refusal(host, fingerprint="00" * 32)
        await refusal(host, ca_file=tmp_path / "other.pem")
        assert counting.requests == 0
        assert await answered(host, fingerprint=plant.fingerprint) == b"\0\7"


# the certificate of the gateway ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_a_host_that_wants_a_certificate_says_so(plant, version):
    async with serving(plant.server(version=version)) as host:
        said = await refusal(host, **plant.keys(None))
    assert "it wants a certificate of the gateway: set `certificate_file` and `key_file` in `tls`" in said


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_a_host_that_does_not_know_the_authority_of_our_certificate_says_so(plant, tmp_path, version):
    plant.issue("foreign", trustme.CA())
    async with serving(plant.server(version=version)) as host:
        said = await refusal(host, **plant.keys("foreign"))
    assert f"it refuses our certificate {tmp_path}/foreign.pem: it does not know the authority that signed it" in said


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_a_host_that_finds_our_certificate_expired_says_so(plant, tmp_path, version):
    plant.issue("old", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))
    async with serving(plant.server(version=version)) as host:
        said = await refusal(host, **plant.keys("old"))
    assert f"it refuses our certificate {tmp_path}/old.pem: it has expired, by the clock of the host" in said


async def test_a_renewed_certificate_is_used_at_the_next_connection(plant):
    plant.issue("old", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))
    async with serving(plant.server()) as host:
        link = Link(TcpHost(host=host.host, port=host.port, tls=TlsSettings(**plant.keys("old"))))
        with pytest.raises(BusUnavailable):
            await link.ask(1, READ, PATIENT)
        plant.issue("old")
        assert await link.ask(1, READ, PATIENT) == b"\0\7"
        link.close()


def encrypted(plant, password: bytes) -> None:
    key = serialization.load_pem_private_key((plant.folder / "gateway.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(password)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (plant.folder / "gateway.key").write_bytes(pem)


async def test_an_encrypted_key_is_opened_with_its_password(plant, tmp_path):
    encrypted(plant, b"open sesame")
    (tmp_path / "password").write_text("open sesame\n")
    async with serving(plant.server()) as host:
        assert await answered(host, **plant.keys(key_password_file=tmp_path / "password")) == b"\0\7"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "ca.pem").unlink(), "{}/ca.pem cannot be read: No such file or directory"),
        (lambda folder: (folder / "ca.pem").write_bytes(b"\x30\x82"), "{}/ca.pem holds no certificate in PEM form"),
        (
            lambda folder: (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"),
            "the certificates in {}/ca.pem are damaged",
        ),
        (lambda folder: (folder / "gateway.pem").write_text(""), "{}/gateway.pem holds no certificate in PEM form"),
        (lambda folder: (folder / "gateway.key").write_text(""), "{}/gateway.key holds no private key in PEM form"),
        (
            lambda folder: trustme.CA().issue_cert("x").private_key_pem.write_to_path(folder / "gateway.key"),
            "the private key in {}/gateway.key does not belong to the certificate in {}/gateway.pem",
        ),
    ],
    ids=["no CA", "DER", "damaged", "empty certificate", "empty key", "another key"],
)
async def test_what_is_wrong_with_a_file_is_said_with_its_name(plant, tmp_path, spoil, says):
    spoil(tmp_path)
    async with serving(plant.server()) as host:
        assert says.replace("{}", str(tmp_path)) in await refusal(host, **plant.keys())
        assert host.connections == 0, "nothing was sent to the host"


async def test_a_key_that_cannot_be_opened_is_said_without_its_password(plant, tmp_path, caplog):
    encrypted(plant, b"open sesame")
    (tmp_path / "password").write_text("wrong-password")
    caplog.set_level(logging.DEBUG)
    async with serving(plant.server()) as host:
        said = await refusal(host, **plant.keys())
        assert f"the private key in {tmp_path}/gateway.key is encrypted: name a file with its password" in said
        said = await refusal(host, **plant.keys(key_password_file=tmp_path / "password"))
        assert f"the password in {tmp_path}/password does not open the private key in {tmp_path}/gateway.key" in said
    assert "wrong-password" not in caplog.text + said


# not TLS on one side --------------------------------------------------------------------------------------------------------


async def test_a_host_without_tls_that_is_silent_is_said(plant, monkeypatch):
    monkeypatch.setattr(tls_module, "HANDSHAKE_SECONDS", 0.2)
    async with asyncio.TaskGroup() as group:
        closing = asyncio.Event()

        async def accept(_reader, writer):
            await closing.wait()
            writer.close()

        server = await asyncio.start_server(lambda *streams: group.create_task(accept(*streams)), "127.0.0.1", 0)
        host = TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        said = await refusal(host, **plant.keys())
        assert "it accepts the connection, but does not answer the TLS handshake within 0.2 s" in said
        closing.set()
        server.close()


@pytest.mark.parametrize(
    "answer", [b"", b"\0\1\0\0\0\3\1\x83\1", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["closes", "an exception", "HTTP"]
)
async def test_a_host_without_tls_that_closes_or_answers_something_is_said(plant, answer):
    async def accept(reader, writer):
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        host = TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        said = await refusal(host, **plant.keys())
    assert (
        ("it does not speak TLS on this port" in said) if answer else ("closed the connection during the TLS handshake" in said)
    )


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_a_host_with_tls_that_is_asked_without_it_is_said(plant, version):
    async with serving(plant.server(version=version)) as host:
        link = Link(TcpHost(host=host.host, port=host.port))
        await link.open()
        for _ in range(2):
            with pytest.raises(BusUnavailable, match=r"it speaks TLS on this port: add `tls = \{ \.\.\. \}`"):
                await link.ask(1, READ, PATIENT)
        link.close()


@pytest.mark.parametrize("alert", ["15 03 01 00 02 02 0a", "15 03 03 00 02 02 46"])
async def test_an_alert_is_recognised_as_tls(alert):
    async def accept(reader, writer):
        await reader.read(12)
        writer.write(bytes.fromhex(alert))
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        link = Link(TcpHost(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
        await link.open()
        with pytest.raises(BusUnavailable, match="it speaks TLS on this port: add"):
            await link.ask(1, READ, PATIENT)
        link.close()


async def test_a_host_with_an_old_tls_is_said(plant):
    context = plant.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(context) as host:
        assert "it speaks no TLS 1.2 or newer: update its firmware" in await refusal(host, **plant.keys())


# settings -------------------------------------------------------------------------------------------------------------------


def test_the_port_is_that_of_modbus_over_tls_unless_another_is_set():
    assert TcpHost(host="a", tls={}).port == 802
    assert TcpHost(host="a", tls={}, port=1502).port == 1502
    assert TcpHost(host="a", tls=None).port == TcpHost(host="a").port == 502


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls": {}, "transport": "udp"}, "`tls` is for Modbus TCP"),
        ({"tls": {}, "framing": "rtu"}, "`tls` is for Modbus TCP"),
        ({"tls": {"key_file": "k"}}, "there is a private key without a certificate: set `certificate_file`"),
        ({"tls": {"fingerprint": "ab:cd"}}, "a SHA-256 fingerprint has 64 hexadecimal digits"),
        ({"tls": {"fingerprint": "ab" * 32, "ca_file": "c"}}, "keep one of the two"),
        ({"tls": {"verify": False}}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_go_together_is_said(given, says):
    with pytest.raises(ValidationError, match=says):
        TcpHost(host="a", **given)


def test_every_key_says_what_it_is_for():
    assert all(field.description for field in TlsSettings.model_fields.values())
