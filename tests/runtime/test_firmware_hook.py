"""The program that installs firmware: real scripts, each in a process of its own."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import CommandRejected
from gateway.models import FirmwareFile
from gateway.runtime.firmware import hook as hook_module
from gateway.runtime.firmware.hook import Hook


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "staged" / "gw; rm -rf $HOME 2.bin"
    path.parent.mkdir()
    path.write_bytes(b"firmware")
    return FirmwareFile(path=path, size=8, sha256="ab" * 32, version="2.0.0", signature="c2ln")


@pytest.fixture
def hook(tmp_path):
    def write(text, *, seconds=30.0, secrets=()):
        program = tmp_path / "install"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o700)
        return Hook(program=program, within=timedelta(seconds=seconds), secrets=lambda: secrets)

    return write


async def test_it_gets_the_file_and_the_version_without_a_shell(hook, file, tmp_path):
    told = tmp_path / "told"
    last = await hook(f'printf "%s|" "$@" "$FIRMWARE_SHA256" "$FIRMWARE_SIGNATURE" > {told}; echo first; echo installed').install(
        file
    )
    assert last == "installed"
    assert told.read_text() == f"{file.path}|2.0.0|{file.sha256}|c2ln|"


async def test_it_gets_no_key_of_the_gateways_environment(hook, file, tmp_path, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", "s3cr3t-key")
    await hook(f"env > {tmp_path}/environment").install(file)
    assert "s3cr3t-key" not in (tmp_path / "environment").read_text()
    assert f"FIRMWARE_FILE={file.path}" in (tmp_path / "environment").read_text()


async def test_one_that_fails_is_told_with_its_last_line_and_without_secrets(hook, file):
    with pytest.raises(CommandRejected) as caught:
        await hook("echo the key is s3cr3t-key >&2; exit 3", secrets=["s3cr3t-key"]).install(file)
    assert str(caught.value) == "the firmware hook failed with exit code 3: the key is ********"


async def test_a_last_line_is_short_and_printable(hook, file):
    last = await hook(r"""head -c 3000 /dev/zero | tr '\0' x; printf '\033[31m\n  \n'""").install(file)
    assert len(last) <= 500
    assert last.isprintable()


async def test_one_that_hangs_is_ended_with_all_that_it_has_started(hook, file, tmp_path):
    with pytest.raises(CommandRejected, match=r"did not end within 0\.5 s, and was ended: begun"):
        await hook(f"echo begun; trap '' TERM; sh -c 'echo $$ > {tmp_path}/child; exec sleep 600' & wait", seconds=0.5).install(
            file
        )
    child = int((tmp_path / "child").read_text())
    for _ in range(500):
        if _is_gone(child):
            break
        await asyncio.sleep(0.01)
    assert _is_gone(child)


def _is_gone(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_one_that_writes_without_end_is_ended(hook, file, monkeypatch):
    monkeypatch.setattr(hook_module, "MOST_OUTPUT_BYTES", 10_000)
    with pytest.raises(CommandRejected, match="wrote more than 0 MB, and was ended: y"):
        await hook("yes").install(file)


async def test_the_file_that_was_fetched_is_never_run_or_overwritten_itself(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "install"
    program.write_text("#!/bin/sh\necho the right one\n")
    program.chmod(0o700)
    fetched = file.path.with_name("install")
    fetched.write_text("#!/bin/sh\necho the wrong one\n")
    fetched.chmod(0o700)
    hook = Hook(program=Path("install"), within=timedelta(seconds=30))
    assert await hook.install(FirmwareFile(path=fetched, size=1, sha256="")) == "the right one"
    assert "wrong" in fetched.read_text()


@pytest.mark.parametrize("mode", [None, 0o600])
async def test_one_that_cannot_be_run_is_told(tmp_path, file, mode):
    program = tmp_path / "install"
    if mode is not None:
        program.write_text("#!/bin/sh\n")
        program.chmod(mode)
    with pytest.raises(CommandRejected, match=r"cannot be run: (No such file|Permission denied)"):
        await Hook(program=program, within=timedelta(seconds=5)).install(file)


async def test_it_goes_on_when_the_gateway_stops_meanwhile(hook, file, tmp_path):
    running = asyncio.create_task(
        hook(
            f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo more; touch {tmp_path}/done"
        ).install(file)
    )
    await _appears(tmp_path / "begun")
    running.cancel()
    await asyncio.wait({running})
    (tmp_path / "go").touch()
    await _appears(tmp_path / "done")


async def _appears(path):
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110 - a file of another process, not an event
            await asyncio.sleep(0.01)
