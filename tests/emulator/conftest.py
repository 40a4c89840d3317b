"""A running emulator and a plain HTTP client that was written from the reference, not from the gateway's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from gateway.emulator import Emulator

HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"
MODEL_ID = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2025, 2, 3, 4, 5, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Heard:
    """One answer; `body` is the parsed JSON whatever the content type says."""

    status: int
    content_type: str
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> str:
        assert set(self.body) == {"error"}, self.body
        return self.body["error"]

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.error


@dataclass(frozen=True)
class Registered:
    """A device's credentials."""

    id: str
    key: str = field(repr=False)


class Xyte:
    """What a device does, over real sockets."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.session = session
        self.registered = 0

    async def ask(self, method: str, url: str | URL, *, key: str | None = None, **request: Any) -> Heard:
        headers = {**request.pop("headers", {}), **({} if key is None else {"Authorization": key})}
        async with self.session.request(method, url, headers=headers, **request) as answer:
            return Heard(answer.status, answer.content_type, answer.headers, await answer.text())

    async def entry(self, method: str, path: str, **request: Any) -> Heard:
        return await self.ask(method, f"{self.emulator.entry_url}/v1/devices{path}", **request)

    async def hub(self, method: str, path: str, **request: Any) -> Heard:
        return await self.ask(method, URL(f"{self.emulator.hub_url}/v1/devices{path}", encoded=True), **request)

    async def own(self, device: Registered, method: str, path: str = "", **request: Any) -> Heard:
        return await self.hub(method, f"/{device.id}{path}", key=device.key, **request)

    async def control(self, method: str, path: str, **request: Any) -> Heard:
        return await self.ask(method, f"{self.emulator.hub_url}/_emulator/{path}", **request)

    def form(self, **changes: object) -> dict[str, object]:
        self.registered += 1
        form = {
            "hardware_key": HARDWARE_KEY,
            "cloud_id": f"ZzQ7k3V9mT2xB8nL5p{self.registered:04}",
            "sn": f"GW-{self.registered:06}",
            "mac": f"02:00:5e:10:00:{self.registered:02x}",
            "firmware_version": "2.4.0",
            "name": "Gateway, room 12",
            **changes,
        }
        return {name: value for name, value in form.items() if value is not ...}

    async def register(self, **changes: object) -> Registered:
        heard = await self.entry("POST", "", json=self.form(**changes))
        assert heard.status == 201, heard.text
        return Registered(heard.body["id"], heard.body["access_key"])

    async def register_child(self, parent: Registered, **changes: object) -> Registered:
        form = {"model_id": MODEL_ID, "firmware_version": "1.7.2", "sn": "SENSOR-0042", **changes}
        heard = await self.entry("POST", f"/{parent.id}/children", key=parent.key, json=form)
        assert heard.status == 201, heard.text
        return Registered(heard.body["id"], heard.body["access_key"])

    async def say(self, device: Registered, telemetries: object = None, **more: object) -> Heard:
        body = {"status": "online", "telemetries": {} if telemetries is None else telemetries, **more}
        return await self.own(device, "POST", "/telemetry", json=body)

    async def flags(self, device: Registered) -> dict[str, Any]:
        heard = await self.say(device)
        assert heard.status == 201, heard.text
        return heard.body

    def quirk(self, **changes: object) -> None:
        self.emulator.cloud.quirks = self.emulator.cloud.quirks.changed(changes)

    @staticmethod
    def quoted(text: str) -> str:
        return quote(text, safe="")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def xyte(emulator: Emulator, session: aiohttp.ClientSession) -> Xyte:
    return Xyte(emulator, session)


@pytest.fixture
async def gateway(xyte: Xyte) -> Registered:
    return await xyte.register()


@pytest.fixture
async def child(xyte: Xyte, gateway: Registered) -> Registered:
    return await xyte.register_child(gateway)


@pytest.fixture
def connect(session: aiohttp.ClientSession) -> Any:
    """Return what makes a client for another emulator."""
    return lambda emulator: Xyte(emulator, session)
