"""Model files with checksum and signature, and the server that has their contents: 6.1, 6.4 and 10.3 of the reference."""

import base64
import hashlib
from urllib.parse import urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.emulator.faults import DOWNLOAD

pytestmark = pytest.mark.enable_socket

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def file(xyte, gateway):
    return xyte.emulator.cloud.add_file(
        xyte.emulator.cloud.devices[gateway.id].model_id, name="gw 2.5.0.bin", version="2.5.0", content=CONTENT
    )


async def download(xyte, url, **request):
    async with xyte.session.get(url, **request) as answer:
        return answer.status, await answer.read()


async def test_a_published_content_has_a_checksum_a_signature_and_a_link_to_a_host_of_its_own(xyte, gateway, file):
    heard = (await xyte.own(gateway, "GET", f"/files/{file.id}")).body
    assert heard == (await xyte.own(gateway, "GET", "/files")).body[0]
    assert heard["checksum"] == hashlib.sha256(CONTENT).hexdigest()
    hosts = [urlsplit(url).hostname for url in (heard["url"], xyte.emulator.hub_url, xyte.emulator.static_hub_url)]
    assert len(set(hosts)) == 3
    assert await download(xyte, heard["url"]) == (200, CONTENT)
    key = (await xyte.control("GET", "models/signing_key")).body
    assert key["algorithm"] == "Ed25519"
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public_key_base64"]))
    public.verify(base64.b64decode(heard["signature"]), CONTENT)


async def test_without_the_library_a_signature_is_opaque(xyte, gateway, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    licence = xyte.emulator.cloud.offer_licence(gateway.id, "feature=pro")
    assert licence.signature == "unsigned-" + hashlib.sha256(b"feature=pro").hexdigest()
    assert (await xyte.control("GET", "models/signing_key")).body == {"algorithm": None, "public_key_base64": None}


async def test_a_content_is_published_by_the_control_surface(xyte, gateway):
    form = {"model_id": xyte.emulator.cloud.devices[gateway.id].model_id, "name": "fw", "version": "9.0.0"}
    content = {"content_base64": base64.b64encode(CONTENT).decode()}
    heard = await xyte.control("POST", "models/files", json={**form, **content})
    assert heard.body["checksum"] == hashlib.sha256(CONTENT).hexdigest()
    assert await download(xyte, heard.body["url"]) == (200, CONTENT)
    heard = await xyte.control("POST", "models/files", json={**form, **content, "checksum": "0" * 64})
    assert heard.body["checksum"] == "0" * 64, "a wrong one where wanted"
    for wrong in ({}, {**content, "url": "https://files.example.com/fw"}, {"content_base64": "no base64!"}):
        assert (await xyte.control("POST", "models/files", json={**form, **wrong})).status in (400, 422)


async def test_a_command_with_a_file_has_its_link_version_checksum_and_signature(xyte, gateway, file):
    await xyte.control(
        "POST", f"devices/{gateway.id}/command", json={"name": "update_firmware", "parameters": {"a": 1}, "file_id": file.id}
    )
    told = (await xyte.own(gateway, "GET", "/command")).body["parameters"]
    assert {key: told[key] for key in ("a", "version", "checksum", "signature")} == {
        "a": 1, "version": "2.5.0", "checksum": file.checksum, "signature": file.signature,
    }  # fmt: skip
    assert await download(xyte, told["url"]) == (200, CONTENT)
    (pending,) = (await xyte.own(gateway, "GET", "/command/pending_commands")).body
    assert pending["parameters"] == told
    heard = await xyte.control("POST", f"devices/{gateway.id}/command", json={"name": "x", "file_id": "nothing"})
    assert heard.refusal == (404, "no file nothing")


async def test_a_key_that_was_sent_along_shows_in_the_journal_and_is_in_none_of_it(xyte, gateway, file):
    url = (await xyte.own(gateway, "GET", f"/files/{file.id}")).body["url"]
    await download(xyte, url, headers={"User-Agent": "device"})
    await download(xyte, url, headers={"Authorization": gateway.key})
    await download(xyte, url, params={"token": gateway.key})
    plain, leaked, in_query = [one for one in (await xyte.control("GET", "journal")).body if one["call"] == DOWNLOAD]
    assert (plain["server"], plain["status"], plain["leaked_keys_of"]) == ("files", 200, [])
    assert plain["headers"]["User-Agent"] == "device"
    assert (leaked["headers"]["Authorization"], leaked["leaked_keys_of"]) == ("***", [gateway.id])
    assert in_query["leaked_keys_of"] == [gateway.id]
    await download(xyte, url, headers={"Authorization": "a key of another service"})
    assert "another service" not in (await xyte.control("GET", "journal")).text
    assert gateway.key not in (await xyte.control("GET", "journal")).text


async def fault(xyte, kind, **more):
    heard = await xyte.control("POST", "faults", json={"kind": kind, "call": DOWNLOAD, **more})
    assert heard.status == 201, heard.text


async def test_downloads_fail_in_each_way(xyte, gateway, file):
    url = (await xyte.own(gateway, "GET", f"/files/{file.id}")).body["url"]
    await fault(xyte, "corrupt", device=file.id)
    status, content = await download(xyte, url)
    assert (status, len(content)) == (200, len(CONTENT))
    assert hashlib.sha256(content).hexdigest() != file.checksum
    await fault(xyte, "truncate")
    with pytest.raises(aiohttp.ClientError):
        await download(xyte, url)
    await fault(xyte, "trickle", seconds=0.05)
    assert await download(xyte, url) == (200, CONTENT)
    await fault(xyte, "slow", seconds=0.01)
    assert await download(xyte, url) == (200, CONTENT)
    await fault(xyte, "drop", times=None)  # aiohttp repeats a request whose reused connection was closed
    with pytest.raises(aiohttp.ClientError):
        await download(xyte, url)
    xyte.emulator.faults.clear()
    await fault(xyte, "404")
    assert (await download(xyte, url))[0] == 404
    assert await download(xyte, url) == (200, CONTENT)
    assert (await download(xyte, url.replace(file.id, "nothing")))[0] == 404


async def test_an_oversize_download_says_no_length_and_goes_on(xyte, gateway, file):
    url = (await xyte.own(gateway, "GET", f"/files/{file.id}")).body["url"]
    await fault(xyte, "oversize")
    async with xyte.session.get(url) as answer:
        assert answer.content_length is None
        assert len(await answer.content.readexactly(len(CONTENT) + 1_000_000)) > len(CONTENT)


async def test_a_redirect_leads_to_another_host(xyte, gateway, file):
    url = (await xyte.own(gateway, "GET", f"/files/{file.id}")).body["url"]
    await fault(xyte, "redirect")
    async with xyte.session.get(url, allow_redirects=False) as answer:
        target = answer.headers["Location"]
    assert urlsplit(target).hostname != urlsplit(url).hostname
    assert await download(xyte, target) == (200, CONTENT)
    assert [one.server for one in xyte.emulator.journal.entries() if one.call == DOWNLOAD] == ["files", "elsewhere"]


async def test_a_fault_of_downloads_is_for_no_other_call(xyte, gateway):
    heard = await xyte.control("POST", "faults", json={"kind": "corrupt", "call": "Send Telemetry"})
    assert heard.refusal == (400, "call: a fault of kind corrupt is for Download File")
    await xyte.control("POST", "faults", json={"kind": "corrupt"})
    assert (await xyte.say(gateway)).status == 201
    assert len(xyte.emulator.faults.active()) == 1
