"""A simulated device from a case of every serial profile, behind a real socket: found as itself, and read."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from contextlib import aclosing
from pathlib import Path

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.discovery.probe_answers import answer_in
from adapters.serial.framing.notation import hex_bytes, text_bytes
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
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
        self._refusal = refusal_of(DeviceProtocol(profile), self._answers.values())
        self.tells_by_itself = "talks" in written
        digest = profile.talk.digest
        self._greeting = b"" if digest is None else profile.framing.wrap(digest.unsecured.encode())
        self._prompts = () if profile.talk.login_only_tcp else tuple(step.expect for step in profile.talk.login)
        self._login: tuple[bytes, ...] = ()
        self._received = b""
        self._framed_login = framed_login_of(profile)
        self._replies = [profile.framing.wrap(one.send) for one in profile.talk.replies]
        self._is_logged_in = False

    def connected(self) -> bytes:
        self._received, self._login, self._is_logged_in = b"", self._prompts, not self._framed_login
        return self._prompts[0] if self._prompts else self._greeting

    def receive(self, data: bytes) -> list[bytes]:
        if self._login:
            return self._logged_in_further()
        if not self._is_logged_in:
            self._is_logged_in = True
            return self._framed_login
        for reply in self._replies:  # to a question of the device, which answers no reply
            data = data.replace(reply, b"")
        if not data:
            return []
        self._received += data
        answer = self._answers.get(data, self._answers.get(self._received))
        if answer is not None:
            self._received = b""
        return [answer or self._refusal]

    def _logged_in_further(self) -> list[bytes]:
        self._login = self._login[1:]
        return [self._login[0]] if self._login else []


def framed_login_of(profile: Profile) -> list[bytes]:
    """Return what a device with a log-in in frames answers to it; nothing for another device."""
    login = profile.talk.frame_login
    answers = () if login is None else (login.accepted, login.then)
    return [profile.framing.wrap(profile.template(one).encode({})) for one in answers if one is not None]


def folder_of(name: str) -> Path:
    """Return the case of this profile that answers most."""

    def answers(folder: Path) -> int:
        return len(tomllib.loads((folder / "device.toml").read_text("utf-8"))["answers"])

    return max(sorted((CASES / name).glob("*")), key=answers)


def refusal_of(protocol: DeviceProtocol, answers: Collection[bytes]) -> bytes:
    """Return one of these answers that is a refusal, for what the device does not know; nothing if there is none."""
    request = protocol.query_request(protocol.profile.queries[0].name)
    return next((raw for raw in answers if (told := answer_in(request, raw)) is not None and told.refusal is not None), b"")


@pytest.mark.parametrize("name", ASKED)
async def test_a_simulated_device_of_every_profile_is_found_as_itself_and_read(name):
    folder = folder_of(name)
    expected = tomllib.loads((folder / "expected.toml").read_text("utf-8"))
    device = DeviceOfCase(folder)
    async with DeviceServer(device) as server:
        url = server.port if not PROFILES[name].only_tcp else server.port.replace("socket://", "tcp://")
        port = {"port": url, "name": "rack", "profiles": [name]}
        login = {"port": "rack", "profile": name, "user": "ann", "password": "made up"}
        devices = [login] if PROFILES[name].talk.needs_login else []
        entry = {"type": "serial", "name": "av", "ports": [port], "devices": devices}
        settings = SerialAdapter.settings_model.model_validate(entry)
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
    told = {metric: value for metric, value in read.items() if value is not None}
    assert told
    if not device.tells_by_itself:  # else the case expects what came last
        wanted = {metric: value for metric, value in expected["readings"].items() if metric in told}
        assert {metric: told[metric] for metric in wanted} == pytest.approx(wanted)
