"""What a changed list of an entry shows: the list before and after, never "not set" where there is one."""

import pytest

from gateway.adapter import AdapterSettings
from gateway.runtime.configuration.file_plan import SHOWN_LENGTH, _field_changes


class Lists(AdapterSettings):
    units: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()


MANY = tuple(f"192.168.1.{last}" for last in range(1, 40))


@pytest.mark.parametrize(
    ("key", "before", "after", "shown"),
    [
        ("units", range(1, 9), range(1, 5), ("1-8", "1-4")),
        ("units", (1, 2, 3, 7), (1, 3, 9), ("1-3, 7", "1, 3, 9")),
        ("units", (), (5,), ("", "5")),
        ("units", (3, 2), (2, 3), ("3, 2", "2-3")),
        ("hosts", ("a",), ("a", "b"), ("a", "a, b")),
        ("hosts", ("a", "b"), ("b",), ("a, b", "b")),
    ],
)
def test_a_list_is_shown_as_a_whole(key, before, after, shown):
    old, new = (Lists.model_validate({"type": "lists", key: tuple(value)}) for value in (before, after))
    assert list(_field_changes(old, new)) == [(key, *shown)]


def test_a_long_list_begins_with_what_differs():
    old, new = (Lists(type="lists", hosts=hosts) for hosts in (MANY, (*MANY, "10.0.0.9")))
    ((_, before, after),) = _field_changes(old, new)
    assert before.startswith("192.168.1.1, 192.168.1.2")
    assert after.startswith("10.0.0.9, 192.168.1.1")
    assert (len(before), len(after)) == (SHOWN_LENGTH, SHOWN_LENGTH)
