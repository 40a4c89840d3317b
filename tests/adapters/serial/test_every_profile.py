"""A simulated device from a case of every serial profile, behind a real socket: found as itself, and read."""

from __future__ import annotations

import tomllib
from contextlib import aclosing
from pathlib import Path

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.framing.notation import hex_bytes, text_bytes
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Found
from gateway.testing.serial import DeviceServer, SerialDevice

pytestmark = pytest.mark.enable_socket

CASES = Path(__file__).parent / "cases"
PROFILES = PROFILE_FILES.load()
ASKED = sorted(name for name, profile in PROFILES.items() if profile.match and any(query.points for query in profile.queries))


class DeviceOfCase(SerialDevice):
    """Answers each request of a case folder with the bytes that are written there, and greets as its protocol does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.name)
        profile = PROFILES[folder.parent.name]
        as_bytes = hex_bytes if profile.notation == "binary" else text_bytes
        written = tomllib.loads((folder / "device.toml").read_text("utf-8"))
        self._answers = {as_bytes(asked): as_bytes(answered) for asked, answered in written["answers"].items()}
        digest = profile.talk.digest
        self._greeting = b"" if digest is None else profile.framing.wrap(digest.unsecured.encode())
        self._received = b""

    def connected(self) -> bytes:
        self._received = b""
        return self._greeting

    def receive(self, data: bytes) -> list[bytes]:
        self._received += data
        for request, answer in self._answers.items():
            if self._received.endswith(request):
                self._received = b""
                return [answer]
        return []


def folder_of(name: str) -> Path:
    """Return the case of this profile with the most readings, all of them asked for."""

    def readings(folder: Path) -> tuple[bool, int]:
        device, expected = (tomllib.loads((folder / f"{part}.toml").read_text("utf-8")) for part in ("device", "expected"))
        return "talks" not in device, len(expected["readings"])

    return max(sorted((CASES / name).glob("*")), key=readings)


@pytest.mark.parametrize("name", ASKED)
async def test_a_simulated_device_of_every_profile_is_found_as_itself_and_read(name):
    folder = folder_of(name)
    expected = tomllib.loads((folder / "expected.toml").read_text("utf-8"))
    async with DeviceServer(DeviceOfCase(folder)) as server:
        url = server.port if not PROFILES[name].only_tcp else server.port.replace("socket://", "tcp://")
        port = {"port": url, "name": "rack", "profiles": [name]}
        settings = SerialAdapter.settings_model.model_validate({"type": "serial", "name": "av", "ports": [port]})
        adapter = SerialAdapter(settings)
        adapter.memory = {}
        async with adapter:
            async with aclosing(adapter.discover()) as steps:
                found = await anext(step async for step in steps if isinstance(step, Found))
            child = found.as_child(adapter="av", bus="rack", model_id="m")
            due = frozenset(adapter.poll_groups(child))
            read = {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}
    assert found.profile == name
    assert found.model in (expected["facts"].get("model"), PROFILES[name].title)
    wanted = {metric: value for metric, value in expected["readings"].items() if value != "<none>"}
    assert {metric: value for metric, value in read.items() if value is not None} == pytest.approx(wanted)
