"""A file is fetched whole from a trusted server, or not at all: real sockets, a real folder."""

import asyncio
import base64
import hashlib
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.cloud.files import download
from gateway.cloud.files.checksums import parse_checksum
from gateway.cloud.files.download import FileLimits, StagingFolder, WantedFile
from gateway.cloud.files.links import LinkPolicy
from gateway.errors import CommandStopped, FileRefused, HubUnreachable

pytestmark = pytest.mark.enable_socket

CONTENT = b"firmware " * 50_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def wanted(hub_server):
    return WantedFile(url=SecretStr(f"{hub_server.url}/files/gw-2.bin?signature=s3cr3t"), checksum=SHA256)


@pytest.fixture
def policy(hub_server):
    return LinkPolicy(hub_url=hub_server.url, allow_plain_http=True)


@pytest.fixture
def staging(tmp_path, hub):
    return StagingFolder(tmp_path / "firmware", hub, FileLimits(most_bytes=2 * 1024 * 1024), first_wait_seconds=0.01)


def serves(server, content=CONTENT, *, status=200, headers=None):
    async def answer(_request):
        return web.Response(status=status, body=content, headers=headers or {})

    server.does(answer)


def left(staging):
    return [path for path in staging.folder.rglob("*") if path.is_file()]


async def test_a_file_is_staged_with_its_name_and_nobody_elses_key(staging, hub_server, wanted, policy):
    serves(hub_server)
    staged = await staging.fetch("job", wanted, policy)
    assert (staged.path.name, staged.size, staged.sha256) == ("gw-2.bin", len(CONTENT), SHA256)
    assert staged.path.read_bytes() == CONTENT
    assert left(staging) == [staged.path]
    assert staging.folder.joinpath("job").stat().st_mode & 0o077 == 0
    assert "Authorization" not in hub_server.only.headers


@pytest.mark.parametrize(
    "text",
    [
        hashlib.md5(CONTENT).hexdigest(),
        SHA256.upper(),
        f"sha256:{SHA256}",
        f"SHA-256: {SHA256}",
        base64.b64encode(hashlib.md5(CONTENT).digest()).decode(),
        base64.b64encode(hashlib.sha512(CONTENT).digest()).decode(),
    ],
)
async def test_a_checksum_is_understood_by_its_form(staging, hub_server, wanted, policy, text):
    serves(hub_server)
    assert (await staging.fetch("job", replace(wanted, checksum=text), policy)).size == len(CONTENT)


@pytest.mark.parametrize("text", ["abc", "md5:" + SHA256, "not a checksum", "=" * 44])
def test_a_checksum_of_unknown_form_is_refused(text):
    with pytest.raises(FileRefused, match="unknown form"):
        parse_checksum(text)


async def test_a_wrong_checksum_leaves_nothing_behind(staging, hub_server, wanted, policy):
    serves(hub_server, CONTENT + b"!")
    with pytest.raises(FileRefused, match=f"its sha256 is .* and has to be {SHA256}"):
        await staging.fetch("job", wanted, policy)
    assert left(staging) == []


async def test_a_missing_checksum_is_a_matter_of_the_configuration(tmp_path, hub, hub_server, wanted, policy, staging):
    serves(hub_server)
    unchecked = replace(wanted, checksum=None)
    with pytest.raises(FileRefused, match="`require_checksum` in \\[cloud\\]"):
        await staging.fetch("job", unchecked, policy)
    assert hub_server.arrived == []
    lax = StagingFolder(tmp_path / "lax", hub, FileLimits(most_bytes=2 * 1024 * 1024, requires_checksum=False))
    assert (await lax.fetch("job", unchecked, policy)).sha256 == SHA256


async def test_a_link_to_another_host_is_never_asked(staging, serve, wanted, policy):
    async with serve(host="localhost") as other:
        with pytest.raises(FileRefused, match="no file is fetched from localhost"):
            await staging.fetch("job", replace(wanted, url=SecretStr(f"{other.url}/gw.bin")), policy)
        assert other.arrived == []


async def test_a_redirect_to_another_host_is_not_followed(staging, serve, hub_server, wanted, policy):
    async with serve(host="localhost") as other:
        serves(hub_server, b"", status=302, headers={"Location": f"{other.url}/gw.bin"})
        with pytest.raises(FileRefused, match="no file is fetched from localhost"):
            await staging.fetch("job", wanted, policy)
        assert other.arrived == []


async def test_a_redirect_within_the_rule_is_followed(staging, serve, hub_server, wanted, policy):
    async with serve(host="localhost") as other:
        serves(hub_server, b"", status=307, headers={"Location": f"{other.url}/x/moved.bin"})
        serves(other)
        staged = await staging.fetch("job", wanted, replace(policy, file_hosts=("localhost",)))
    assert staged.path.name == "gw-2.bin"


async def test_redirects_without_end_are_given_up(staging, hub_server, wanted, policy):
    serves(hub_server, b"", status=302, headers={"Location": "/again"})
    with pytest.raises(FileRefused, match="again and again"):
        await staging.fetch("job", wanted, policy)
    assert len(hub_server.arrived) == download.MOST_REDIRECTS + 1


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_that_is_too_large_is_given_up_at_the_limit(staging, hub_server, wanted, policy, announced):
    async def endless(request):
        response = web.StreamResponse(headers={"Content-Length": str(10**9)} if announced else {})
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(CONTENT)
        return response

    hub_server.does(endless)
    with pytest.raises(FileRefused, match="more than 2 MB; `max_file_mb`"):
        await staging.fetch("job", wanted, policy)
    assert left(staging) == []


async def test_a_full_disk_refuses_the_file_before_it_is_fetched(tmp_path, hub, hub_server, wanted, policy):
    serves(hub_server)
    full = StagingFolder(tmp_path / "f", hub, FileLimits(most_bytes=2**30), free_bytes=lambda _folder: download.KEPT_FREE_BYTES)
    with pytest.raises(FileRefused, match="not enough space"):
        await full.fetch("job", wanted, policy)
    assert left(full) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path, hub, hub_server, wanted, policy):
    serves(hub_server)
    (tmp_path / "taken").write_text("a file")
    staging = StagingFolder(tmp_path / "taken", hub, FileLimits(most_bytes=2**30))
    with pytest.raises(FileRefused, match="cannot be written"):
        await staging.fetch("job", wanted, policy)


async def test_a_lost_connection_begins_the_download_again(staging, hub_server, wanted, policy):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await response.prepare(request)
        await response.write(CONTENT[:1000])
        request.transport.abort()
        return response

    hub_server.does(cut)
    serves(hub_server, b"", status=503)
    serves(hub_server)
    assert (await staging.fetch("job", wanted, policy)).sha256 == SHA256
    assert len(hub_server.arrived) == 3


async def test_a_server_that_stays_away_is_told_without_the_link(staging, hub_server, wanted, policy):
    serves(hub_server, b"", status=500)
    with pytest.raises(HubUnreachable) as caught:
        await staging.fetch("job", wanted, policy)
    assert "s3cr3t" not in str(caught.value)
    assert len(hub_server.arrived) == download.ATTEMPTS


@pytest.mark.parametrize("status", [401, 403, 404, 204])
async def test_a_refusal_of_the_server_is_final(staging, hub_server, wanted, policy, status):
    serves(hub_server, b"", status=status)
    with pytest.raises(FileRefused, match=r"answered|is empty"):
        await staging.fetch("job", wanted, policy)
    assert len(hub_server.arrived) == 1


async def test_no_error_contains_the_link(staging, hub, hub_server, wanted, policy, closed_port):
    url = f"http://{closed_port}/gw.bin?signature=s3cr3t"
    with pytest.raises(HubUnreachable) as caught:
        await staging.fetch("job", replace(wanted, url=SecretStr(url)), policy)
    error = caught.value
    while error is not None:
        assert "s3cr3t" not in f"{error} {error!r} {vars(error)}"
        error = error.__context__
    assert urlsplit(url).netloc in str(caught.value)


async def test_a_download_tells_how_much_has_arrived_and_can_be_stopped_there(staging, hub_server, wanted, policy, monkeypatch):
    monkeypatch.setattr(download, "TELL_EVERY_SECONDS", 0)
    serves(hub_server)
    told = []
    await staging.fetch("job", wanted, policy, told.append)
    assert told[-1] == f"{len(CONTENT) // 1024} KB of the file have arrived"

    def stop(text):
        raise CommandStopped(text)

    with pytest.raises(CommandStopped):
        await staging.fetch("job", wanted, policy, stop)
    assert left(staging) == []


async def test_a_download_that_is_cancelled_leaves_nothing(staging, hub_server, wanted, policy):
    begun, hold = asyncio.Event(), asyncio.Event()

    async def slow(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(CONTENT[:100_000])
        begun.set()
        await hold.wait()
        return response

    hub_server.does(slow)
    task = asyncio.create_task(staging.fetch("job", wanted, policy))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hold.set()
    assert left(staging) == []


def test_a_start_removes_partial_files_and_those_that_no_job_needs(staging):
    for job, name in (("kept", "a.bin"), ("kept", "b.bin.part"), ("gone", "c.bin")):
        (staging.folder / job).mkdir(parents=True, exist_ok=True)
        (staging.folder / job / name).write_bytes(b"x")
    staging.clean(kept={"kept"})
    assert [path.name for path in left(staging)] == ["a.bin"]
