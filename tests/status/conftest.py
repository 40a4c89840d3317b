"""A status page that listens, in front of a gateway that is only shown."""

from __future__ import annotations

import asyncio
import importlib.util
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from jinja2 import BytecodeCache

from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.tokens import Role, Token, digest_of
from gateway.status.listening.endpoint import Endpoint
from gateway.status.render import templates
from gateway.status.server import StatusServer

TOKEN = "a-token-that-only-tests-know"
TOKENS = {Role.ADMINISTER: TOKEN, Role.OPERATE: f"{TOKEN}-operates", Role.LOOK: f"{TOKEN}-looks"}

_spec = importlib.util.spec_from_file_location("fake_view", Path(__file__).with_name("fake_view.py"))
fake_view = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_view)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class CompiledTemplates(BytecodeCache):
    """What Jinja has compiled in this process: each page that a test serves has an environment of its own."""

    def __init__(self):
        self._compiled = {}

    def load_bytecode(self, bucket):
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket):
        self._compiled[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "Environment", partial(templates.Environment, bytecode_cache=CompiledTemplates()))
        yield


@pytest.fixture(autouse=True)
def short_delay(monkeypatch):
    monkeypatch.setattr("gateway.status.auth.middleware.DELAY_SECONDS", 0.01)


@pytest.fixture
def fake():
    return fake_view


@pytest.fixture
def view():
    return fake_view.show_plant()


@pytest.fixture
async def serve():
    """`serve(view, host=..., bound=...)` starts a page; `bound` is the host that the access control believes in."""
    tasks, sessions = [], []

    async def start(view, *, bound="127.0.0.1", **settings):
        settings = {"update_every": timedelta(seconds=0.05)} | settings
        tokens = [Token(name=role.value, role=role, digest=digest_of(text)) for role, text in TOKENS.items()]
        auth = TokenAuth(lambda: tuple(tokens), host=bound)
        served = {name: settings.pop(name) for name in ("host", "trusted_proxies", "certificate") if name in settings}
        server = StatusServer(view, view.history, auth, endpoint=Endpoint(port=0, **served), **settings)
        tasks.append(asyncio.create_task(server.run()))
        async with asyncio.timeout(60):
            await server.listens.wait()
        sessions.append(aiohttp.ClientSession(server.address, cookie_jar=aiohttp.CookieJar(unsafe=True)))
        return SimpleNamespace(
            server=server, view=view, auth=auth, task=tasks[-1], http=sessions[-1], token=TOKEN,
            bearer=bearer(TOKEN), address=server.address, tokens=tokens,
            bearers={role: bearer(text) for role, text in TOKENS.items()},
        )  # fmt: skip

    yield start
    for session in sessions:
        await session.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def page(serve, view):
    return await serve(view)
