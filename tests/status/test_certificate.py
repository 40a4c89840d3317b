"""The page over TLS: its certificate loaded, renewed and made."""

import asyncio
import ssl
import stat
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from cryptography import x509

from gateway.config.settings import StatusSection
from gateway.doctor.page_certificate import certificate_findings
from gateway.models import FindingState
from gateway.status import base_server
from gateway.status.listening import certificate as module
from gateway.status.listening import listener, self_signed
from gateway.status.listening.certificate import CertificateUnusable, PageCertificate, load_context
from gateway.status.listening.endpoint import SELF_SIGNED, certificate_of
from gateway.status.listening.self_signed import certificate_file


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority):
    """Write a certificate and its key, and return their files."""

    def write(name="page", **settings):
        made = authority.issue_cert("127.0.0.1", **settings)
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        return tmp_path / f"{name}.pem", tmp_path / f"{name}.key"

    return write


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def presented(address, context):
    """Yield the certificate that the page presents."""
    host, _, port = address.removeprefix("https://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        yield writer.get_extra_info("ssl_object")
    finally:
        writer.transport.abort()


@pytest.mark.enable_socket
async def test_a_page_with_a_certificate_is_served_by_https_and_its_cookie_is_for_https_only(serve, view, files, authority):
    page = await serve(view, certificate=PageCertificate(*files()))
    assert page.address.startswith("https://")
    context = trusting(authority)
    async with page.http.get("/healthz", ssl=context) as answer:
        assert answer.status == 200
    data, origin = {"token": page.token}, {"Origin": page.address}
    async with page.http.post("/login", data=data, headers=origin, ssl=context, allow_redirects=False) as answer:
        assert "Secure" in answer.headers["Set-Cookie"]


def test_a_page_speaks_no_tls_older_than_1_2(files):
    assert load_context(*files()).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x00\xf1nonsense", b"\0" * 3000]
)
async def test_what_is_no_tls_is_closed_and_not_logged(serve, view, files, monkeypatch, caplog, sent):
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.3)
    page = await serve(view, certificate=PageCertificate(*files()))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(page.address.rpartition(":")[2]))
    writer.write(sent)
    async with asyncio.timeout(60):
        while await reader.read(65536):
            pass
    writer.close()
    assert caplog.text == ""
    assert len(page.server._connections) == 0


@pytest.mark.enable_socket
async def test_a_browser_that_speaks_plain_http_is_told_that_the_page_is_served_by_https(serve, view, files):
    page = await serve(view, certificate=PageCertificate(*files()))
    async with page.http.get(page.address.replace("https", "http")) as answer:
        assert (answer.status, await answer.text()) == (400, "This page is served by https.\n")


@pytest.mark.enable_socket
async def test_a_client_that_leaves_before_it_says_anything_leaves_nothing_behind(serve, view, files, caplog):
    page = await serve(view, certificate=PageCertificate(*files()))
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", int(page.address.rpartition(":")[2]))
        writer.transport.abort()
    async with asyncio.timeout(60):
        while len(page.server._connections):  # noqa: ASYNC110 - the page sends no event
            await asyncio.sleep(0.01)
    assert caplog.text == ""


@pytest.mark.enable_socket
async def test_a_page_with_tls_ends_while_clients_say_nothing(serve, view, files):
    page = await serve(view, certificate=PageCertificate(*files()))
    opened = [await asyncio.open_connection("127.0.0.1", int(page.address.rpartition(":")[2])) for _ in range(10)]
    page.task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(page.task, return_exceptions=True)
    for _, writer in opened:
        writer.close()


@pytest.mark.enable_socket
async def test_a_renewed_certificate_is_used_for_new_connections_and_a_broken_one_is_not(
    serve, view, files, authority, monkeypatch, caplog
):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    certificate, key = files()
    page = await serve(view, certificate=PageCertificate(certificate, key))

    async def serial():
        async with presented(page.address, trusting(authority)) as seen:
            return seen.getpeercert()["serialNumber"]

    first = await serial()
    other, other_key = files("other")
    key.write_bytes(other_key.read_bytes())  # half of a renewal
    assert await serial() == first
    assert await serial() == first
    assert caplog.text.count("the former certificate remains in use") == 1
    certificate.write_bytes(other.read_bytes())
    assert await serial() != first


@pytest.mark.enable_socket
async def test_a_page_without_its_certificate_is_served_to_this_machine_alone_until_that_can_be_used(
    serve, view, files, monkeypatch, caplog, tmp_path
):
    monkeypatch.setattr(base_server, "BIND_RETRY_SECONDS", 0.05)
    files()
    certificate = PageCertificate(tmp_path / "late.pem", tmp_path / "page.key")
    page = await serve(view, host="0.0.0.0", bound="0.0.0.0", certificate=certificate)
    served, port = page.server, int(page.address.rpartition(":")[2])
    assert page.address == f"http://127.0.0.1:{port}"
    assert "late.pem cannot be read" in served.why_without_certificate
    async with page.http.get("/api/v1/status") as answer:
        assert answer.status == 401, "it takes the token, as it would for others"
    async with page.http.get("/api/v1/status", headers=page.bearer) as answer:
        assert answer.status == 200
    for of_others in ({"Host": "gateway.example:8080"}, {"X-Forwarded-For": "192.0.2.9"}, {"Via": "1.1 proxy"}):
        async with page.http.get("/login", headers=of_others) as answer:
            assert answer.status == 403, "a proxy or a tunnel asks for another machine"
            assert "to the machine of the gateway alone" in await answer.text()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", port)  # an address of every address of this machine, and not the one
    (tmp_path / "page.pem").rename(tmp_path / "late.pem")
    async with asyncio.timeout(60):
        while not served.address.startswith("https://"):  # noqa: ASYNC110 - a claim, not an event
            await asyncio.sleep(0.05)
    assert served.address.startswith("https://0.0.0.0:")
    assert served.why_without_certificate is None
    other = {"Host": "gateway.example:8080"} | page.bearer
    async with page.http.get(f"https://127.0.0.1:{served.address.rpartition(':')[2]}/", headers=other, ssl=False) as answer:
        assert answer.status == 200
    assert caplog.text.count("late.pem cannot be read: No such file or directory") == 1


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda certificate, key: certificate.unlink(), "page.pem cannot be read: No such file"),
        (lambda certificate, key: key.unlink(), "page.key cannot be read: No such file"),
        (lambda certificate, key: certificate.write_text("nonsense"), "page.pem holds no certificate in PEM form"),
        (lambda certificate, key: key.write_bytes(b"\xff\0"), "page.key holds no private key in PEM form"),
        (lambda certificate, key: key.write_text(key.read_text()[:100]), "cannot be used"),
        (lambda certificate, key: key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "is encrypted"),
        (
            lambda certificate, key: key.write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes()),
            "the private key in .*page.key does not belong to the certificate in .*page.pem",
        ),
    ],
)
def test_files_that_cannot_be_used_are_told_with_their_names(files, damage, text):
    certificate, key = files()
    load_context(certificate, key)
    damage(certificate, key)
    with pytest.raises(CertificateUnusable, match=text):
        load_context(certificate, key)
    section = StatusSection(certificate=certificate, key=key)
    (finding,) = certificate_findings(section, certificate.with_name("store"))
    assert finding.state is FindingState.FAULT
    assert "so the page is not served" in finding.meaning


def test_a_certificate_without_its_key_says_where_the_key_is_named(files):
    with pytest.raises(CertificateUnusable, match=r"\[status\] key"):
        load_context(files()[0], None)


@pytest.mark.parametrize(
    ("validity", "level", "text"),
    [
        ({"not_after": datetime.now(UTC) - timedelta(days=1)}, FindingState.FAULT, "has expired at"),
        ({"not_after": datetime.now(UTC) + timedelta(days=5)}, FindingState.WARNING, "expires at"),
        ({"not_before": datetime.now(UTC) + timedelta(days=5)}, FindingState.FAULT, "is valid from"),
        ({}, FindingState.FINE, "is valid until"),
    ],
    ids=["expired", "soon", "early", "fine"],
)
def test_doctor_tells_how_long_the_certificate_is_valid(files, validity, level, text, tmp_path):
    certificate, key = files(**validity)
    (finding,) = certificate_findings(StatusSection(certificate=certificate, key=key), tmp_path / "store")
    assert (finding.state, text in finding.meaning) == (level, True)


@pytest.fixture
def own(tmp_path):
    store = tmp_path / "state" / "gateway.sqlite3"
    return certificate_of(StatusSection(certificate=SELF_SIGNED, host="192.0.2.7"), store), certificate_file(store)


async def test_a_certificate_is_made_once_with_its_key_for_the_owner_alone(own, caplog, tmp_path):
    certificate, file = own
    certificate.load()
    made = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "192.0.2.7" in map(str, x509.load_pem_x509_certificate(made).extensions[0].value.get_values_for_type(x509.IPAddress))
    certificate.load()
    assert file.read_bytes() == made
    (finding,) = certificate_findings(StatusSection(certificate=SELF_SIGNED), tmp_path / "state" / "gateway.sqlite3")
    assert finding.state is FindingState.FINE
    shown = caplog.text.partition("SHA-256 ")[2].split()[0]
    assert shown in finding.meaning
    assert b"PRIVATE KEY" in made
    assert caplog.text.count("SHA-256") == 1


@pytest.mark.parametrize("content", [b"", b"damaged", None])
async def test_a_damaged_or_expired_certificate_of_its_own_is_made_anew(own, content, monkeypatch):
    certificate, file = own
    if content is None:
        with monkeypatch.context() as patch:
            patch.setattr(self_signed, "VALID_FOR", timedelta(days=29))
            certificate.load()
    else:
        file.parent.mkdir()
        file.write_bytes(content)
    before = file.read_bytes()
    certificate.load()
    assert file.read_bytes() != before


@pytest.mark.enable_socket
async def test_a_page_with_a_certificate_of_its_own_is_served(serve, view, own):
    page = await serve(view, certificate=own[0])
    async with aiohttp.ClientSession() as browser, browser.get(f"{page.address}/healthz", ssl=False) as answer:
        assert answer.status == 200


async def test_a_certificate_of_its_own_that_cannot_be_renewed_is_told_once(own, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    certificate, file = own
    certificate.load()
    first = certificate.context()
    monkeypatch.setattr(self_signed, "RENEW_BEFORE", timedelta(days=9999))
    (file.parent / f"{file.name}.new").mkdir()
    assert all(certificate.context() is first for _ in range(5))
    assert caplog.text.count("the former certificate remains in use") == 1
