"""Secrets of every kind are planted, and whatever comes out of a gateway is searched for them, in every form."""

import asyncio
import base64
import html
import io
import json
import logging
import os
import re
import sys
import tarfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from pydantic import SecretStr

from gateway.adapter import AdapterSettings, Command
from gateway.status.model import encode_id
from gateway.status.openapi import OPERATIONS
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

COMMAND = Path(sys.executable).with_name("xyte-gateway")
HARDWARE_KEY = "0f0e0d0c-1111-4222-8333-444455556666"
PLANTED = {
    "hardware key": HARDWARE_KEY,
    "typed": "aB3dEf00112233445566778899aabbcc",
    "password in a table": 'Pä55 wörd/in+a "table"',
    "password in a file": "f1le-Passw0rd?&=",
    "user information of a URL": "url-Passw0rd",
    "parameter of a command": "c0mmand-Passw0rd",
    "licence": "L1CENCE-PAYL0AD-7781",
    "signature of a firmware link": "s1gnature-of-a-l1nk",
    "proxy": "pr0xy-Passw0rd",
    "passphrase of a backup": "back-up Passphr4se",
}


def forms(secret):
    """Yield a secret as texts write it: plain, escaped for JSON, HTML, Python and URLs, in base64 and in hexadecimal digits."""
    raw = secret.encode()
    yield from (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), quote(secret, safe=""), quote(secret))
    yield from (quote_plus(secret), html.escape(json.dumps(secret, ensure_ascii=False)[1:-1]).replace("&quot;", "&#34;"))
    yield html.escape(secret).replace("&quot;", "&#34;")
    for offset in range(3):  # a secret inside a longer text, such as user:password, begins at any place of a group of three bytes
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * offset + raw).decode().rstrip("=")
            yield encoded[(offset * 8 + 5) // 6 : -1 if (len(raw) + offset) % 3 else None]
    yield from (raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(":"))
    if re.fullmatch("[0-9a-fA-F-]+", secret):
        yield from (secret.upper(), secret.lower(), secret.replace("-", ""), secret.swapcase())


def found_in(text, secrets):
    """Return which secrets are in a text, and where."""
    return {
        f"{what} as {form!r}: {text[max(0, text.find(form) - 80) : text.find(form) + 20]!r}"
        for what, secret in secrets.items()
        for form in set(forms(secret))
        if form in text
    }


def files_of(archive):
    """Return the texts in an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [opened.extractfile(one).read().decode() for one in opened.getmembers()]


class SecretSettings(AdapterSettings):
    """An entry with secrets of every form."""

    bind_key: SecretStr
    login: dict[str, str]
    password_file: str
    url: str


class Careless(SyntheticAdapter):
    """An adapter that has a bug, and tells its secrets to whoever listens."""

    settings_model = SecretSettings
    is_broken = False

    async def read(self, child, groups=None):
        password = self.settings.login["password"]
        logging.getLogger("careless").debug("logging in as %s with %r", self.settings.login["user"], password)
        if Careless.is_broken:
            raise RuntimeError(
                f"cannot log in to {self.settings.url} with {password} and {self.settings.bind_key.get_secret_value()}"
            )
        async for readings in super().read(child, groups):
            yield readings

    def licence_command(self, child, licence):
        return Command(licence.id, child.key, "set_password", {"password": licence.payload})


class Log(logging.Handler):
    """Everything that any library logs, as a handler writes it."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def whole_log():
    root, kept = logging.getLogger(), Log()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(kept)
    root.setLevel(level)


@pytest.fixture
def entry(tmp_path):
    (tmp_path / "password").write_text(PLANTED["password in a file"] + "\n")
    (tmp_path / "password").chmod(0o600)
    return {
        "type": "synthetic",
        "bind_key": PLANTED["typed"],
        "login": {"user": "operator", "password": PLANTED["password in a table"]},
        "password_file": str(tmp_path / "password"),
        "url": f"rfc2217://operator:{PLANTED['user information of a URL']}@rack:4001",
    }


@asynccontextmanager
async def browsing(address):
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        yield browser


async def everything_of(page, token, key):
    """Return what the page says at each of its addresses, with and without the token, and its cookies' values."""
    texts = []
    async with browsing(page.address) as browser:
        paths = [
            "/",
            "/waiting",
            "/cloud",
            "/doctor",
            f"/children/{encode_id(key)}",
            "/metrics",
            "/readyz",
            "/api/v1/openapi.json",
        ]
        paths += [one.path.replace("{id}", encode_id(key)) for one in OPERATIONS if one.method == "GET"]
        for headers in (
            {},
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {token}x"},
            {"Cookie": "xyte_gateway=1.x"},
        ):
            for path in paths:
                async with browser.get(path, headers=headers) as answer:
                    texts += [f"{answer.headers}", await answer.text()]
        data = {"token": token, "then": "/"}
        async with browser.post("/login", data=data, headers={"Origin": page.address}) as answer:
            texts.append(await answer.text())
        cookie = next(iter(browser.cookie_jar)).value
        async with browser.get("/live", params={"at": "/", "seen": "x"}) as answer:
            texts.append((await answer.content.readuntil(b"\n\n")).decode())
    return texts, cookie


async def test_no_secret_leaves_a_gateway_by_log_page_interface_or_dump(
    emulator, running, until, entry, whole_log, monkeypatch, tmp_path
):
    asyncio.get_running_loop().set_debug(True)
    monkeypatch.setattr(Careless, "is_broken", False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy:{PLANTED['proxy']}@127.0.0.1:1")
    device = SyntheticDevice("1", "a1", poll_every=timedelta(milliseconds=100))
    adapters = {"synthetic": type("OnBus", (Careless,), dict(vars(SyntheticAdapter.on(SyntheticBus([device])))))}
    cloud = {"commands_every": timedelta(seconds=0.2), "may": "firmware"}
    async with running(adapters, entry, cloud=cloud) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: any(one.access_key is not None for one in registry.children.values()))
        ((key, record),) = registry.children.items()
        child = emulator.cloud.devices[record.device_id]
        own = next(one for one in emulator.cloud.devices.values() if one.parent_id is None)

        async def done(device_id, name, **parameters):
            command = emulator.cloud.queue_command(device_id, name, parameters)
            await until(lambda: not command.is_open, 60)
            return command

        told = [await done(child.id, "set_password", password=PLANTED["parameter of a command"])]
        assert device.password == PLANTED["parameter of a command"]
        told.append(await done(child.id, "set_password", pasword=PLANTED["parameter of a command"]))
        link = f"http://127.0.0.1:1/gw.bin?signature={PLANTED['signature of a firmware link']}"
        told.append(await done(own.id, "update_firmware", url=link, version="9.9.9"))
        licence = emulator.cloud.offer_licence(child.id, data=PLANTED["licence"], action="add")
        await until(lambda: licence.state in ("inuse", "error"))
        Careless.is_broken = True
        await until(lambda: any("cannot log in" in line for line in whole_log.lines))
        await asyncio.sleep(0.5)
        page = gateway.parts.page
        texts, cookie = await everything_of(page.server, page.new_token, key)
        told.append(await done(own.id, "dump"))
        assert told[-1].status == "done", told[-1].message
        settings = [
            repr(gateway.parts.configuration),
            str(gateway.parts.configuration),
            repr(gateway.parts.configuration.entries),
        ]
        keys = [registry.gateway.credentials.access_key, record.access_key]
        secrets = PLANTED | {"key of the gateway": keys[0].get_secret_value(), "key of the child": keys[1].get_secret_value()}
    (dump,) = emulator.cloud.dumps.values()
    dumped = files_of(dump.content)
    with_sessions = secrets | {"cookie": cookie, "token": page.new_token}
    shown_token = [line for line in whole_log.lines if "status page token, shown only this once" in line]
    log = [line for line in whole_log.lines if line not in shown_token]
    assert len(shown_token) == 1
    outcomes = [f"{one.status} {one.message}" for one in told]
    told_cloud = [f"{one.incidents} {one.state} {licence.error}" for one in (own, child)]
    assert "adapter failed" in "".join(texts)
    assert found_in("\n".join(log), with_sessions) == set()
    assert found_in("\n".join(texts), with_sessions) == set()
    assert found_in("\n".join(dumped), with_sessions) == set()
    assert found_in("\n".join(outcomes), with_sessions) == set()
    assert found_in("\n".join(told_cloud), with_sessions) == set()
    assert found_in("\n".join(settings), with_sessions) == set()


CONFIGURATION = """
[gateway]
mac = "02:00:5e:10:00:01"
[cloud]
hardware_key = "{hardware key}"
[store]
path = "{folder}/gateway.sqlite3"
[status]
port = {port}
[[adapter]]
type = "serial"
ports = ["socket://127.0.0.1:2"]
devices = [{{ port = "socket://127.0.0.1:2", profile = "pjlink", password = "{parameter of a command}" }}]
[[adapter]]
type = "ble"
devices = [{{ address = "A4:C1:38:12:34:56", name = "Cold store", bind_key = "{typed}" }}]
{more}
"""
MISTAKES = """
[gateway.nonsense]
password = "{password in a file}"
[cloud2]
hardware_key = "{hardware key}"
[[adapter]]
type = "serial"
ports = ["https://operator:{user information of a URL}@127.0.0.1:1", "rfc2217://operator:{user information of a URL}@127.0.0.1:1"]
devices = [{{ port = "socket://127.0.0.1:2", profile = "pjlink", password = ["{parameter of a command}"] }}]
exclude = [{{ password = "{licence}" }}]
[[adapter]]
type = "ble"
devices = [{{ address = "A4:C1:38:12:34:56", bind_key = "{typed}{typed}" }}]
"""
COMMANDS = (
    "run --no-wait --verbose",
    "check",
    "children",
    "dump --out {folder}/dump",
    "backup {folder}/backup --encrypt",
    "token",
)
COMMANDS_OF_A_MISTAKEN_ONE = ("run --no-wait --verbose", "check", "children")


async def cli(*words, folder):
    """Run a command, end it where it would run on, and return all that it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XYTE_")}
    environment["HTTPS_PROXY"] = f"http://proxy:{PLANTED['proxy']}@127.0.0.1:1"
    environment["XYTE_GATEWAY_BACKUP_PASSPHRASE"] = PLANTED["passphrase of a backup"]
    process = await asyncio.create_subprocess_exec(
        COMMAND, *words, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out = b""
    while more := await process.stdout.read(65536):
        out += more
        if b"the status page is at" in out and process.returncode is None:  # `run` has opened its buses by now
            process.terminate()
    await process.wait()
    return out.decode()


@pytest.mark.parametrize(
    ("as_json", "more", "commands"),
    [(True, "", COMMANDS), (False, MISTAKES, COMMANDS_OF_A_MISTAKEN_ONE)],
    ids=["fine-json", "mistaken-text"],
)
async def test_no_command_shows_a_secret_of_its_configuration(tmp_path, port, as_json, more, commands):
    text = CONFIGURATION.format(folder=tmp_path, port=port, more=more.format(**PLANTED), **PLANTED)
    (tmp_path / "gateway.toml").write_text(text)
    words = [command.format(folder=tmp_path).split() for command in commands]
    form = ["--json"] if as_json else []
    shown = [await cli(*words[0], *form, folder=tmp_path)]  # it makes the store
    shown += await asyncio.gather(*(cli(*one, *form, folder=tmp_path) for one in words[1:]))
    planted = {what: secret for what, secret in PLANTED.items() if what != "password in a table"}
    for command, out in zip(commands, shown, strict=True):
        token = [line for line in out.splitlines() if "status page token" in line]
        assert len(token) <= 1
        assert found_in(out.replace("\n", ""), planted) == set(), command
        assert "Traceback" not in out, command
    if "dump" in " ".join(commands):  # with what `doctor` finds
        assert found_in("\n".join(files_of((tmp_path / "dump").read_bytes())), planted) == set()
