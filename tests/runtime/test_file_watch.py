"""The configuration file while the gateway runs: only what it says counts, and not when it was saved."""

import asyncio
import os
from datetime import timedelta

import pytest

from gateway.runtime.file_watch import LARGEST_FILE, watch_file

START = "[status]\nport = 8080\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(START)
    return path


async def watched(file, *changes):
    """Return what was told after each change."""
    told, after = [], []
    task = asyncio.create_task(watch_file(file, told.append, every=timedelta(seconds=0.02)))
    await asyncio.sleep(0.1)
    for number, change in enumerate(changes):
        change()
        if file.exists():
            os.utime(file, ns=(number + 1, number + 1))  # also where two changes fall into one tick of the clock of the disk
        await asyncio.sleep(0.2)
        after.append(list(told))
        told.clear()
    task.cancel()
    return after


def says(file, text):
    return lambda: file.write_bytes(text) if isinstance(text, bytes) else file.write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        START,
        f"{START}# a remark\n",
        "\n\n [ status ]\n  port=8080 # here\n",
        "\ufeff" + START,
        START.replace("\n", "\r\n"),
        "status.port = 8080",
    ],
    ids=["touched", "comment", "spaces", "byte order mark", "CRLF", "other notation"],
)
async def test_a_file_that_says_the_same_is_no_change(file, text, caplog):
    caplog.set_level("INFO")
    assert await watched(file, says(file, text)) == [[]]
    assert "its settings are those of the start" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[status]\nport = 8081\n", "restart the gateway to use it"),
        ("", "restart the gateway to use it"),
        ("[status\n", "could not use it: line 1"),
        (b"\xff", "is not UTF-8"),
    ],
)
async def test_a_file_that_says_something_else_is_told_and_silence_returns_with_its_settings(file, text, words, caplog):
    changed, same, back = await watched(file, says(file, text), lambda: None, says(file, f"# back\n{START}"))
    assert len(changed) == 1
    assert words in changed[0]
    assert same == []
    assert back == [None]
    assert caplog.text.count("has changed since the start") == 1


async def test_a_file_that_is_gone_is_told_with_the_reason(file):
    ((notice,),) = await watched(file, file.unlink)
    assert "could not use it" in notice
    assert "No such file" in notice


async def test_a_huge_file_is_not_read(file):
    def grow():
        with file.open("r+b") as out:
            out.truncate(LARGEST_FILE + 1)

    ((notice,),) = await watched(file, grow)
    assert "larger than 16 MB" in notice
