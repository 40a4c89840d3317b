"""Files that a document names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:gateway|adapters|tests|deploy)/[\w./-]*|[\w-]+\.(?:md|toml))`|\]\(([\w./-]+\.md)\)")


def named_paths(text):
    return sorted({first or second for first, second in NAMED.findall(text)} - {"gateway.toml"})


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", ".github/pull_request_template.md"])
def test_each_file_that_a_document_names_is_there(document):
    named = named_paths((ROOT / document).read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_file_that_is_gone_would_be_noticed():
    assert named_paths("see `gateway/gone.py`, [that](OTHER.md) and `tests/field/`") == [
        "OTHER.md",
        "gateway/gone.py",
        "tests/field/",
    ]
