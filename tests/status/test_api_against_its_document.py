"""Every operation of the JSON API answers as its OpenAPI document says: schemathesis calls the real server by the document.

In CI it makes the same few requests each time. With API_TEST_SECONDS=600 in the environment it makes others for ten minutes:
`API_TEST_SECONDS=600 pytest --timeout=0 -s -k administer tests/status/test_api_against_its_document.py`.
"""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import schemathesis

from gateway.status.auth.tokens import Role
from gateway.status.openapi import OPERATIONS, openapi
from gateway.status.operations.setup import SETUP_OPERATIONS

pytestmark = pytest.mark.enable_socket

SECONDS = os.environ.get("API_TEST_SECONDS")
CHECKED = ("--checks", "all", "--continue-on-failure", "--no-color", "--warnings", "off")
FEW = ("--generation-deterministic", "--phases", "coverage,fuzzing,stateful", "--max-examples", "2")
THOROUGHLY = FEW if SECONDS is None else ("--max-time", SECONDS)
AS_ALLOWED = ("--generation-deterministic", "--phases", "fuzzing", "--mode", "positive", "--max-examples", "1")

_spec = importlib.util.spec_from_file_location("fake_events", Path(__file__).with_name("fake_events.py"))
fake_events = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_events)


@pytest.mark.parametrize("operations", [OPERATIONS, SETUP_OPERATIONS], ids=["that runs", "that waits"])
def test_the_document_is_valid_openapi_3_1(operations):
    document = openapi(operations)
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


@pytest.mark.timeout(600)  # a thousand requests: some 15 s on a quiet machine
@pytest.mark.parametrize(("role", "how"), [(Role.ADMINISTER, THOROUGHLY), (Role.OPERATE, AS_ALLOWED), (Role.LOOK, AS_ALLOWED)])
async def test_every_operation_answers_as_its_document_says(serve, fake, tmp_path, monkeypatch, role, how):
    monkeypatch.setattr("gateway.status.auth.wrong_tokens.FREE_ATTEMPTS", 1_000_000)  # each wrong one is to get its 401
    view = fake.show_plant(children=40)
    view.timeline = fake_events.show_timeline(next(iter(view.children.values())).line, rounds=3)
    page = await serve(view, bound="0.0.0.0")
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(openapi()))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
        *("run", str(document), "--url", page.address, "--header", f"Authorization: {page.bearers[role]['Authorization']}"),
        *(*CHECKED, *how),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()

    print(output)  # noqa: T201 - for whoever runs it by hand
    assert process.returncode == 0, output
    assert f"Tested: {len(OPERATIONS)}\n" in output, output
