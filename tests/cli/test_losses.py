"""`xyte-gateway losses`, as an operator and a program call it."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.models import Sample, Status
from gateway.state.outbox import LossReason, Outbox
from gateway.state.store import Store

COMMAND = Path(sys.executable).with_name("xyte-gateway")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(path):
    async with Store(path) as store:
        outbox = Outbox(store, most_samples=100)
        await outbox.put(
            [
                Sample(child, BEGIN + timedelta(minutes=minute), Status.ONLINE, {"n": minute})
                for minute in range(3)
                for child in "ab"
            ]
        )
        await outbox.confirm(await outbox.oldest_of("a", 1))
        await outbox.drop(await outbox.oldest_of("b", 2), LossReason.REJECTED)


def ask(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XYTE_")}
    return subprocess.run(
        [COMMAND, "losses", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_account_of_each_device_and_each_loss_are_shown(tmp_path):
    (tmp_path / "gateway.toml").write_text('[store]\npath = "gateway.sqlite3"\n')
    missing = ask(tmp_path)
    assert (missing.returncode, "the gateway has not run" in missing.stderr.replace("\n", " ")) == (1, True)
    asyncio.run(fill(tmp_path / "gateway.sqlite3"))
    document = json.loads(ask(tmp_path, "--json").stdout)
    a, b = document["accounts"]
    assert {name: a[name] for name in ("key", "produced", "delivered", "lost", "waiting")} == {
        "key": "a", "produced": 3, "delivered": 1, "lost": 0, "waiting": 2,
    }  # fmt: skip
    assert (b["delivered"], b["lost"], b["waiting"]) == (0, 2, 1)
    assert document["losses"] == [
        {
            "key": "b", "why": "the hub rejected it", "first_at": "2026-01-01T00:00:00+00:00",
            "last_at": "2026-01-01T00:01:00+00:00", "samples": 2,
        }
    ]  # fmt: skip
    shown = ask(tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "b: 2 lost, 2026-01-01 00:00:00 to 2026-01-01 00:01:00 UTC: the hub rejected it" in shown.stdout
