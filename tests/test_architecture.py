"""ARCHITECTURE.md shows the state machines and the calls of the device API as the code has them."""

import re
from pathlib import Path

import pytest

from gateway.cloud.client import HttpHub
from gateway.cloud.enrolment_states import ENROLMENT_TRANSITIONS
from gateway.state.child_states import CHILD_TRANSITIONS
from gateway.state.transitions import as_markdown

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"


@pytest.mark.parametrize(
    ("name", "transitions"), [("child states", CHILD_TRANSITIONS), ("enrolment states", ENROLMENT_TRANSITIONS)]
)
def test_the_diagram_is_the_one_that_the_table_makes(name, transitions):
    _, begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    shown, end, _ = rest.partition(f"<!-- /{name} -->")
    assert begin
    assert end
    assert shown == as_markdown(transitions), f"put the text of as_markdown() between the markers <!-- {name} -->"


OTHER_METHODS = {"clock", "open_file"}
"""What the client has besides the calls."""


def api_rows():
    _, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition("<!-- device api -->\n")
    table, _, _ = rest.partition("<!-- /device api -->")
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_each_call_of_the_client_is_in_the_table_and_only_these():
    methods = [name for name in vars(HttpHub) if not name.startswith("_") and name not in OTHER_METHODS]
    assert [row[0] for row in api_rows()] == methods
    assert len(methods) == 31


@pytest.mark.parametrize("row", api_rows(), ids=lambda row: row[0])
def test_each_call_is_made_where_the_table_says(row):
    method, call, section, user, purpose = row
    product = [
        file
        for file in (ARCHITECTURE.parent / "gateway").rglob("*.py")
        if not {"emulator", "testing"} & set(file.parts) and file.name not in ("client.py", "hub.py")
    ]
    makes_call = re.compile(rf"\.{method}\b")
    users = [
        str(file.relative_to(ARCHITECTURE.parent)) for file in product if makes_call.search(file.read_text(encoding="utf-8"))
    ]
    assert purpose
    assert re.fullmatch(r"\d+(\.\d+)?", section)
    assert call in (ARCHITECTURE.parent / "gateway/cloud/client.py").read_text(encoding="utf-8")
    assert users == [] if user == "not used" else user in users
