"""A backup of a running gateway is made and restored on its page, and the gateway goes on with it in the same process."""

import io
from datetime import timedelta

import aiohttp
import pytest

from gateway.config.settings import StoreSection
from gateway.errors import BeginAnew
from gateway.runtime import restores
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket
SECRET = "a good passphrase"


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=100))


def form(content, passphrase=SECRET):
    fields = aiohttp.FormData()
    fields.add_field("passphrase", passphrase)
    fields.add_field("file", io.BytesIO(content), filename="gateway.backup", content_type="application/octet-stream")
    return fields


async def test_a_backup_is_made_and_restored_on_the_page(emulator, running, until, tmp_path, monkeypatch):
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(1)]))}
    store = StoreSection(path=tmp_path / "gateway.sqlite3")
    with pytest.raises(ExceptionGroup) as ended:  # noqa: PT012 - the gateway ends by itself, to be built anew
        async with running(adapters, {"type": "synthetic"}, store=store) as gateway:
            page, state = gateway.parts.page, gateway.parts.state
            await until(lambda: state.registry.children)
            await until(page.server.listens.is_set)
            bearer = {"Authorization": f"Bearer {page.tokens.created}"}
            async with aiohttp.ClientSession(page.server.address, headers=bearer) as http:

                async def post(path, data):
                    async with http.post(f"/maintenance/{path}", data=data) as answer:
                        return answer.status, await answer.read()

                status, backup = await post("backup", {"passphrase": SECRET, "again": SECRET})
                assert status == 200
                status, html = await post("restore", form(backup, "another passphrase"))
                assert (status, b"the passphrase is wrong" in html) == (409, True)
                with monkeypatch.context() as patched:
                    patched.setattr(gateway.parts.view.restores, "most_bytes", len(backup) - 1)
                    status, html = await post("restore", form(backup))
                    assert (status, b"more than is taken" in html) == (409, True)
                    patched.setattr(gateway.parts.view.restores, "most_bytes", 1 << 30)
                    patched.setattr(restores, "FREE_BYTES", 1 << 60)
                    status, html = await post("restore", form(backup))
                    assert (status, b"the disk of the store is too full" in html) == (409, True)
                assert [one.name for one in tmp_path.iterdir() if "upload" in one.name] == []
                status, html = await post("restore", form(backup))
                assert (status, b"Restore it now" in html) == (200, True)
                plan = html.split(b'name="plan" value="')[1].split(b'"')[0].decode()
                assert (await post("restore/confirm", {"plan": "guessed"}))[0] == 409
                assert (await post("restore/confirm", {"plan": plan}))[0] == 200
                assert (await post("restore/confirm", {"plan": plan}))[0] == 409, "once"
            await gateway.task
    assert ended.group_contains(BeginAnew)
    async with running(adapters, {"type": "synthetic"}, store=store) as gateway:
        state = gateway.parts.state
        assert RecoveryKind.RESTORED in [one.kind for one in state.recoveries.all]
        assert state.registry.children.keys() == {"sn:synthetic/1"}
        events = [one.text for one in gateway.parts.state.timeline._recent]
        assert any("uploaded on the page" in text for text in events)
        before = len(emulator.cloud.devices)
        await until(lambda: state.registry.children["sn:synthetic/1"].access_key is not None)
        assert len(emulator.cloud.devices) == before
    assert [one.name for one in tmp_path.iterdir() if "upload" in one.name] == []
    assert len(list(tmp_path.glob("*.replaced-*"))) >= 1
