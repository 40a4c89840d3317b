"""A machine on which faults are planted: a server with a real certificate, a configuration, and the command as it is typed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

KEY = "0f0e0d0c-1111-4222-8333-444455556666"


@pytest.fixture
def folder():
    """A folder into which other users may look, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="doctor-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def authority(folder):
    made = trustme.CA(organization_name="Acme Inspection")
    made.cert_pem.write_to_path(folder / "authority.pem")
    return made


@pytest.fixture
def cloud():
    """`async with cloud(certificate) as address`: a server that answers each call in the same way, from a clock of its own."""

    @asynccontextmanager
    async def start(certificate=None, *, body=b'{"error":"Not found"}', status="404 Not Found", clock=None, headers=(), raw=None):
        tls = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(tls)
        asked = []

        async def answer(reader, writer):
            try:
                asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
                date = format_datetime(clock or datetime.now(UTC), usegmt=True)
                lines = [f"HTTP/1.1 {status}", f"Date: {date}", f"Content-Length: {len(body)}", *headers, "", ""]
                writer.write("\r\n".join(lines).encode() + body if raw is None else raw)
                await writer.drain()
            except (OSError, EOFError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            scheme, host = ("http", "127.0.0.1") if certificate is None else ("https", "localhost")
            yield SimpleNamespace(url=f"{scheme}://{host}:{port}", port=port, asked=asked)

    return start


@pytest.fixture
def config(folder):
    """`config(cloud, more)` writes a configuration in which nothing is wrong, and returns its file."""
    key_file = folder / "hardware_key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    (folder / "store").mkdir()

    def write(url, more="", *, ca_file=True):
        file = folder / "gateway.toml"
        lines = [
            "[cloud]",
            f'hardware_key_file = "{key_file}"',
            f'entry_url = "{url}"',
            "allow_plain_http = true" if url.startswith("http:") else "",
            f'ca_file = "{folder}/authority.pem"' if ca_file and url.startswith("https:") else "",
            "[store]",
            f'path = "{folder}/store/gateway.sqlite3"',
            more if "[status]" in more else f"[status]\nport = {free_port()}\n{more}",
        ]
        file.write_text("\n".join(lines))
        file.chmod(0o644)
        return file

    return write


@pytest.fixture
def doctor(folder, run_command):
    """`await doctor(config)` types the command and returns its exit code and what it found, by name.

    `user=` is the number of another user that types it, `before=` shell lines that change the machine for it alone.
    """

    async def run(*arguments, user=None, before=None, **environment):
        typed = ["doctor", "--json", *arguments]
        if user is None and before is None:
            code, out, err = await run_command(*typed, folder=folder, environment={"NO_COLOR": "1", **environment})
        else:
            command = [str(Path(sys.executable).with_name("xyte-gateway")), *typed]
            if user is not None:
                command = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *command]
            if before is not None:
                command = ["unshare", "--mount", "sh", "-ec", f'{before}\nexec "$@"', "sh", *command]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "NO_COLOR": "1", **environment},
            )  # fmt: skip
            out, err = (said.decode() for said in await asyncio.wait_for(process.communicate(), 200))
            code = process.returncode
        assert err == ""
        said = json.loads(out)
        assert KEY not in out
        findings = [SimpleNamespace(**finding) for finding in said["findings"]]
        return SimpleNamespace(
            code=code,
            all=findings,
            faults=[one for one in findings if one.state == "fault"],
            warnings=[one for one in findings if one.state == "warning"],
            of=lambda what: next(one for one in findings if one.what == what),
            counted=(said["faults"], said["warnings"]),
        )

    return run


@pytest.fixture(scope="session")
def own_mounts():
    """Skip where no file system can be mounted for one program alone."""
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("this needs root, and the right to mount")


@pytest.fixture(scope="session")
def as_root():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")


def free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
