"""A Modbus host is added on the page: tried before it is saved, found and registered after; a wrong one is said to be wrong."""

import asyncio
import re
from datetime import timedelta

import aiohttp
import pytest

from adapters.modbus import ModbusAdapter
from gateway.config.loading import load
from gateway.runtime.builder import build
from gateway.runtime.parts import Timing
from gateway.testing.demo_devices import moxa_iologik_e1210, schneider_iem3255
from gateway.testing.modbus import ModbusTcpHost

pytestmark = pytest.mark.enable_socket

ADAPTERS = {"modbus": ModbusAdapter}
FIELD = re.compile(r'name="(etag|draft)" value="([^"]+)"')
QUICK = Timing(check_for_changes_every=timedelta(seconds=0.1), hub_backoff_first=timedelta(seconds=0.05))


async def test_a_host_is_entered_tried_saved_found_and_registered(tmp_path, emulator, until, unused_tcp_port):
    file = tmp_path / "gateway.toml"
    async with ModbusTcpHost([moxa_iologik_e1210(1)]) as first, ModbusTcpHost([schneider_iem3255(2)]) as second:
        file.write_text(
            f"""[cloud]
entry_url = "{emulator.entry_url}"
allow_plain_http = true
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
[store]
path = "{tmp_path / "gateway.sqlite3"}"
[status]
port = 0
[models]
"*" = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
[[adapter]]
type = "modbus"
units = "1-2"
hosts = [
  "127.0.0.1:{first.port}",  # the first
]
"""
        )
        stop = asyncio.Event()
        async with build(load(file, ADAPTERS), ADAPTERS, timing=QUICK) as gateway, asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            await until(lambda: gateway.page.server.listens.is_set())
            await until(lambda: len(gateway.state.registry.children) == 1)
            headers = {"Authorization": f"Bearer {gateway.page.new_token}"}
            async with aiohttp.ClientSession(gateway.page.server.address, headers=headers) as http:

                async def post(path, **fields):
                    async with http.post(f"/configuration/{path}", data=fields) as answer:
                        return str(answer.url), await answer.text()

                async def enter(host, port, **hidden):
                    at = {"at": "adapter/#0/hosts/#1"} | {key: value for key, value in hidden.items() if key == "draft"}
                    async with http.get("/configuration/form", params=at) as answer:
                        shown = dict(FIELD.findall(await answer.text()))
                    _, html = await post("form", at=at["at"], **shown, **{"f.host": host, "f.port": str(port)})
                    return re.search(r"draft\?id=([\w-]+)", html)[1]

                async def tried(draft):
                    await post("draft/try", id=draft)
                    async with asyncio.timeout(30):
                        while (shown := await gateway.editor.draft(draft)).is_trying:  # noqa: ASYNC110 - a try
                            await asyncio.sleep(0.05)
                    return {one.bus: (one.state.value, one.text) for one in shown.trials}

                draft = await enter("127.0.0.1", unused_tcp_port)
                seen = await tried(draft)
                assert seen[f"127.0.0.1:{unused_tcp_port}"][0] == "fails", seen
                assert "refuse" in seen[f"127.0.0.1:{unused_tcp_port}"][1].lower()
                assert seen[f"127.0.0.1:{first.port}"][0] == "in use"
                draft = await enter("127.0.0.1", second.port, draft=draft)
                seen = await tried(draft)
                assert seen[f"127.0.0.1:{second.port}"][0] == "answers", seen
                assert len(gateway.state.registry.children) == 1, "what is tried becomes no child"
                _, html = await post("draft/save", id=draft)
                assert "not in effect yet" not in html
                await until(lambda: len(gateway.state.registry.children) == 2)
                written = file.read_text()
                assert f'"127.0.0.1:{first.port}",  # the first\n' in written
                assert f'host = "127.0.0.1", port = {second.port}' in written
            stop.set()
