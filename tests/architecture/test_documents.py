"""The documents name only files and folders that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("adapters", "deploy", "gateway", "tests", ".ci", ".github")
DOCUMENTS = (
    "ARCHITECTURE.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "adapters/README.md",
    ".github/pull_request_template.md",
)
NAMED = re.compile(r"`((?:[\w.*<>-]+/)*[\w.*<>-]+(?:\.(?:py|toml|md|yml|service|lock|html|sql)|/))`|\]\(([\w./-]+\.md)\)")
"""A path in backticks, as a file with one of our endings or a folder with a slash behind it, or a link to a document."""

NOT_OURS = re.compile(r"gateway\.toml|pyproject\.toml|/etc/|gateway\.d|status-token|hardware_key")
"""Files of the integrator, of the author or of the machine."""


def named_paths(text):
    named = {first or second for first, second in NAMED.findall(text)}
    return sorted(name for name in named if not NOT_OURS.search(name))


@pytest.fixture(scope="module")
def paths():
    """All files and folders of the project, each with a slash before its path and folders with one behind it."""
    inside = [path for folder in FOLDERS for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    return {f"/{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}" for path in (*ROOT.iterdir(), *inside)}


def exists(name, paths):
    """`status/server.py` is the end of a path; `profiles/<name>.toml` and `adapters/*/profiles/` stand for any such path."""
    pattern = re.sub(r"<\w+>", "[^/]+", re.escape(name).replace(r"\*", "[^/]*"))
    return any(re.search(f"/{pattern}$", path) for path in paths)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_that_a_document_names_exists(document, paths):
    named = named_paths((ROOT / document).read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not exists(name, paths)] == []


def test_a_path_that_is_gone_would_be_noticed(paths):
    named = named_paths("see `gateway/gone.py`, [that](OTHER.md), `tests/field/` and `adapters/*/profile/`")
    assert [name for name in named if not exists(name, paths)] == ["OTHER.md", "gateway/gone.py"]
