"""Profile files of any grammar: what is read, and where a mistake is said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.adapter import Mistake, ProfileError, ProfileFiles, apply_defaults


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    metric: str
    scale: float = Field(default=1.0, gt=0)


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    ask: str = "?"
    points: tuple[Point, ...] = ()


class Grammar(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    complaint: str = ""
    identity: dict[str, str] = Field(default_factory=dict)
    points: tuple[Point, ...] = ()
    queries: tuple[Query, ...] = ()

    @model_validator(mode="after")
    def _complains(self) -> Self:
        if self.complaint:
            raise ValueError(self.complaint)
        return self


FILES = ProfileFiles(Grammar)

TEXT = """\
name = "test"
complaint = ""

[identity]
model = "x"

[[points]]
metric = "power"

[[queries]]
name = "power"
ask = "a?"
points = [
    { metric = "volume" },
    { metric = "mute", scale = 2 },
]

[[queries]]
name = "more"

[[queries.points]]
metric = "input"
scale = 3
"""

FILE = Path("test.toml")


def line_of(text: str) -> int:
    return next(at for at, line in enumerate(TEXT.splitlines(), start=1) if text in line)


def complaint(text: str, files: ProfileFiles[Grammar] = FILES) -> str:
    with pytest.raises(ProfileError) as told:
        files.parse(text, FILE)
    return str(told.value)


def test_a_profile_is_read():
    assert FILES.parse(TEXT, FILE).queries[1].points[0].scale == 3


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('model = "x"', "model = 1", "identity.model: has to be a text, in quotes (it says 1)"),
        ('ask = "a?"', "ask = 1", "query `power`.ask: has to be a text, in quotes (it says 1)"),
        (
            '    { metric = "mute", scale = 2 },',
            '    { metric = "mute", scale = 0 },',
            "query `power`: point `mute`.scale: has to be more than 0",
        ),
        ("scale = 3", "scale = 0", "query `more`: point `input`.scale: has to be more than 0"),
        ('metric = "power"', 'metric = "power"\nunits = 1', "point `power`.units: no such key. Known here: metric, scale"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_by_the_names_of_its_tables(right, wrong, told):
    line = line_of(right) + wrong.count("\n")
    assert complaint(TEXT.replace(right, wrong)).startswith(f"test.toml:{line}: {told}")


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("query `power`.ask: it asks for nothing", 'ask = "a?"'),
        ("query `more`: nobody needs it", 'name = "more"'),
        ("point `power`: it is there twice", 'metric = "power"'),
        ("point `mute`.scale: it is odd", 'metric = "mute"'),
        ("identity.model: nothing tells it", 'model = "x"'),
        ("the points `volume` and `mute` overlap", 'metric = "volume"'),
        ("there is no such thing as `sense`", 'name = "test"'),
        ("it is no good", 'name = "test"'),
    ],
)
def test_a_complaint_of_the_whole_is_told_where_what_it_names_is(said, place):
    text = TEXT.replace('complaint = ""', f'complaint = "{said}"')
    assert complaint(text) == f"test.toml:{line_of(place)}: {said}"


def test_all_mistakes_are_told_in_the_order_of_their_lines():
    told = complaint(TEXT.replace("scale = 3", "scale = 0").replace('model = "x"', "model = 1")).splitlines()
    assert [int(line.split(":")[1]) for line in told] == [line_of('model = "x"'), line_of("scale = 3")]


def test_defaults_count_for_points_that_do_not_say_otherwise():
    files = ProfileFiles(Grammar, apply_defaults)
    text = TEXT + '\n[defaults]\nscale = 5\n\n[[points]]\nmetric = "own"\nscale = 7\n'
    assert [point.scale for point in files.parse(text, FILE).points] == [5, 7]
    assert "`defaults` has to be a table" in complaint("defaults = 1\n" + TEXT, files)
    assert complaint('name = "test"\npoints = 3\n', files).startswith("test.toml:2: `points` has to be a list of tables")


def test_what_completes_a_profile_says_where_a_mistake_is():
    def complete(content: dict[str, object]) -> None:
        raise Mistake(("identity", "model"), f"identity.model: {content['name']} has none")

    line = line_of('model = "x"')
    assert complaint(TEXT, ProfileFiles(Grammar, complete)) == f"test.toml:{line}: identity.model: test has none"


def test_a_file_that_is_no_profile_at_all_is_named():
    assert complaint("name =").startswith("test.toml:1: is not TOML: ")
    assert "it is called 'test' inside; name and file must agree" in complaint_of_file("other.toml")


def complaint_of_file(name: str) -> str:
    with pytest.raises(ProfileError) as told:
        FILES.parse(TEXT, Path(name))
    return str(told.value)


def test_profiles_of_a_later_folder_replace_their_namesakes(tmp_path):
    for folder, model in (("ours", "a"), ("theirs", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test.toml").write_text(TEXT.replace('"x"', f'"{model}"'), encoding="utf-8")
    both = FILES.load([tmp_path / "ours", tmp_path / "theirs"])
    assert both["test"].identity == {"model": "b"}


def test_a_folder_or_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ProfileError, match="none: there is no such folder"):
        FILES.load([tmp_path / "none"])
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ProfileError, match=r"latin\.toml:1: cannot be read: it is not UTF-8 text"):
        FILES.load([tmp_path])


def test_profiles_of_the_adapter_are_read_once_and_those_of_a_person_each_time(tmp_path):
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ours" / "test.toml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "theirs" / "store.toml").write_text(TEXT.replace('"test"', '"store"', 1), encoding="utf-8")
    files = replace(FILES, folder=tmp_path / "ours")
    first, second = files.load([tmp_path / "theirs"]), files.load([tmp_path / "theirs"])
    assert first.keys() == second.keys() == {"test", "store"}
    assert first["test"] is second["test"]
    assert first["store"] is not second["store"]
    first.pop("test")
    assert "test" in files.load()
