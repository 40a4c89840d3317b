"""A key goes only to who can prove who it is, and what is wrong with a proof is said with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from gateway.causes import Cause
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.errors import HubUnreachable, SettingsError
from gateway.hub import GatewayRegistration

pytestmark = pytest.mark.enable_socket

GATEWAY = GatewayRegistration(hardware_key=SecretStr("hardware-key-1"), serial_number="S", firmware_version="1.0.0")
ANSWER = {"id": "d", "access_key": "k-1", "hub_url": "https://hub.example"}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca, tmp_path):
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def server_side(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def refused(server, ca_file=None) -> HubUnreachable:
    async with HttpHub(CloudAccess(entry_url=server.url, ca_file=ca_file)) as hub:
        with pytest.raises(HubUnreachable) as caught:
            await hub.register_device(GATEWAY)
    assert server.arrived == []
    assert not caught.value.maybe_done
    return caught.value


async def test_a_server_of_the_named_authority_is_trusted(serve, ca, ca_file):
    async with serve(server_side(ca.issue_cert("localhost")), "localhost") as server:
        server.answers(ANSWER, status=201)
        async with HttpHub(CloudAccess(entry_url=server.url, ca_file=ca_file)) as hub:
            assert (await hub.register_device(GATEWAY)).device_id == "d"


async def test_an_authority_that_nobody_named_is_refused_with_the_setting_to_use(serve, ca):
    async with serve(server_side(ca.issue_cert("localhost")), "localhost") as server:
        problem = await refused(server)
    assert "cannot be trusted" in str(problem)
    assert "`ca_file`" in str(problem)


async def test_another_authority_than_the_named_one_is_refused(serve, ca_file):
    async with serve(server_side(trustme.CA().issue_cert("localhost")), "localhost") as server:
        assert "`ca_file`" in str(await refused(server, ca_file))


async def test_a_certificate_for_another_host_is_refused(serve, ca, ca_file):
    async with serve(server_side(ca.issue_cert("other.example")), "localhost") as server:
        assert "is for another host name" in str(await refused(server, ca_file))


async def test_an_expired_certificate_is_refused_with_a_word_on_the_clock(serve, ca, ca_file):
    expired = ca.issue_cert("localhost", not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with serve(server_side(expired), "localhost") as server:
        problem = await refused(server, ca_file)
    assert "has expired" in str(problem)
    assert problem.cause is Cause.TLS
    assert "clock" in str(problem)


async def test_a_server_that_speaks_plain_http_on_a_tls_port_is_refused(serve):
    async with serve() as server, HttpHub(CloudAccess(entry_url=server.url.replace("http://", "https://"))) as hub:
        with pytest.raises(HubUnreachable, match="does not support TLS") as caught:
            await hub.register_device(GATEWAY)
    assert server.arrived == []
    assert not caught.value.maybe_done


@asynccontextmanager
async def speaking(speak):
    """A server that does what `speak(reader, writer)` does, and hangs up; its URL."""

    async def answer(reader, writer):
        with contextlib.suppress(OSError):
            await speak(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def hang_up(reader, _writer):
    await reader.read(100)


async def break_off_in_the_handshake(reader, writer):
    await reader.read(5)
    writer.write(bytes.fromhex("160303007a02000076"))  # the beginning of a ServerHello
    await writer.drain()


async def talk_nonsense(reader, writer):
    await reader.read(100)
    writer.write(b"\xff" * 500)
    await writer.drain()
    await reader.read()


async def send_an_alert(reader, writer):
    await reader.read(100)
    writer.write(bytes.fromhex("15030300020228"))  # fatal, handshake_failure (RFC 8446, section 6)
    await writer.drain()
    await reader.read()


async def refuse_every_version(reader, writer):
    await reader.read(100)
    writer.write(bytes.fromhex("15030100020246"))  # fatal, protocol_version
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("speak", [hang_up, break_off_in_the_handshake, talk_nonsense, send_an_alert])
async def test_a_handshake_that_fails_is_no_answer_and_certainly_did_nothing(speak):
    async with speaking(speak) as url, HttpHub(CloudAccess(entry_url=url, timeout_seconds=10)) as hub:
        with pytest.raises(HubUnreachable) as caught:
            await hub.register_device(GATEWAY)
        with pytest.raises(HubUnreachable):
            async with hub.open_file(f"{url}/file"):
                pass
    assert not caught.value.maybe_done
    assert "hardware-key-1" not in str(caught.value)


async def test_a_self_signed_certificate_is_refused_with_the_setting_to_use(serve, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "own.pem"
    no_password = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with serve(context, "localhost") as server:
        problem = await refused(server)
    assert "is self-signed: name it in `ca_file`" in str(problem)


async def test_a_certificate_of_the_future_is_refused_with_a_word_on_the_clock(serve, ca, ca_file):
    future = ca.issue_cert("localhost", not_before=datetime(2090, 1, 1, tzinfo=UTC), not_after=datetime(2091, 1, 1, tzinfo=UTC))
    async with serve(server_side(future), "localhost") as server:
        problem = await refused(server, ca_file)
    assert "is not valid yet: check the clock" in str(problem)
    assert problem.cause is Cause.CLOCK_WRONG


async def test_a_server_with_no_version_that_this_machine_allows_is_refused_with_that_reason():
    async with speaking(refuse_every_version) as url, HttpHub(CloudAccess(entry_url=url, timeout_seconds=10)) as hub:
        with pytest.raises(HubUnreachable, match="does not support TLS, or no version that this machine allows"):
            await hub.register_device(GATEWAY)


async def test_plain_http_to_a_tls_port_is_no_answer(serve, ca):
    async with serve(server_side(ca.issue_cert("localhost")), "localhost") as server:
        access = CloudAccess(entry_url=server.url.replace("https://", "http://"), allow_plain_http=True, timeout_seconds=10)
        async with HttpHub(access) as hub:
            with pytest.raises(HubUnreachable):
                await hub.register_device(GATEWAY)
    assert server.arrived == []


def test_the_systems_authorities_stay_trusted_beside_the_named_one(ca_file):
    from gateway.cloud.http import tls_context

    system = {certificate["serialNumber"] for certificate in ssl.create_default_context().get_ca_certs()}
    both = {certificate["serialNumber"] for certificate in tls_context(ca_file).get_ca_certs()}
    assert system < both
    assert tls_context(ca_file).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(ca_file).check_hostname


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_a_fault_of_the_settings(tmp_path, text):
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        HttpHub(CloudAccess(ca_file=path))
    assert caught.value.problems[0].where == "cloud.ca_file"
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "entry_url", ["http://entry.example", "ftp://entry.example", "https://", "https://u:p@entry.example", ""]
)
def test_an_entry_server_that_no_key_may_be_sent_to_is_a_fault_of_the_settings(entry_url):
    with pytest.raises(SettingsError) as caught:
        HttpHub(CloudAccess(entry_url=entry_url))
    assert caught.value.problems[0].where == "cloud.entry_url"
