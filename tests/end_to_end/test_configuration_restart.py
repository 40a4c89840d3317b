"""A gateway restarts in its process with what was saved on its page, and goes one step back when it cannot start."""

import asyncio
import re
import sys
from pathlib import Path

import aiohttp
import pytest

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
TOKEN = re.compile(r"only this once: (\S+)")
API = "/api/v1/configuration"


@pytest.fixture
def file(tmp_path, unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    path = tmp_path / "gateway.toml"
    path.write_text(
        f"""[cloud]
entry_url = "http://127.0.0.1:{unused_tcp_port_factory()}"
allow_plain_http = true
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
[store]
path = "{tmp_path / "gateway.sqlite3"}"
[status]
port = {port}
[models]
"*" = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
[[adapter]]
type = "modbus"
hosts = ["127.0.0.1:{unused_tcp_port_factory()}"]
"""
    )
    path.chmod(0o600)
    return path


async def text_at(http, url, words):
    """Return what is served there as soon as it has these words."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get(url) as answer:
                    if words in (text := await answer.text()):
                        return text
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def test_it_moves_to_another_port_and_comes_back_from_a_store_that_it_cannot_use(file, unused_tcp_port_factory):
    lines, port = [], unused_tcp_port_factory()
    process = await asyncio.create_subprocess_exec(COMMAND, "run", "--config", str(file), stderr=asyncio.subprocess.PIPE)

    async def read_log():
        async for line in process.stderr:
            lines.append(line.decode())  # noqa: PERF401 - what has come so far counts

    reading = asyncio.create_task(read_log())
    try:
        async with asyncio.timeout(60):
            while not (found := TOKEN.findall("".join(lines))):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {found[0]}"}) as http:
            before = file.read_text()
            old = re.search(r"port = (\d+)", before)[1]
            for base, change in (
                (old, (f"port = {old}", f"port = {port}")),
                (port, ("gateway.sqlite3", "other/gateway.sqlite3")),
            ):
                url = f"http://127.0.0.1:{base}{API}"
                await text_at(http, url, "etag")
                async with http.get(url) as answer:
                    shown = await answer.json()
                body = {"text": shown["text"].replace(*change), "etag": shown["etag"]}
                async with http.put(url, json=body) as answer:
                    assert answer.status == 200, await answer.text()
                if base == port:
                    other = file.with_name("other")
                    other.mkdir()
                    (other / "gateway.sqlite3").write_bytes(b"no database" * 1000)
                async with http.post(f"{url}/restart", json={"confirmed": True}) as answer:
                    assert answer.status == 200, await answer.text()
            async with asyncio.timeout(60):
                while len(found := TOKEN.findall("".join(lines))) < 2:  # noqa: ASYNC110 - that of the other store
                    await asyncio.sleep(0.05)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {found[1]}"}) as http:
            await text_at(http, f"http://127.0.0.1:{port}/", "One step back")
            async with http.post(f"http://127.0.0.1:{port}/setup/file/undo", allow_redirects=False) as answer:
                assert answer.status == 303, await answer.text()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {found[0]}"}) as http:
            await text_at(http, f"http://127.0.0.1:{port}{API}", "etag")
        assert file.read_text() == before.replace(f"port = {old}", f"port = {port}")
        assert process.returncode is None, "it is the same process"
    finally:
        process.terminate()
        await process.wait()
        await reading
