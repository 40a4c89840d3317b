"""What a case expects is compared as a person wrote it down, and not to the last binary digit."""

import pytest

from gateway.profiles.case_differences import case_differences


@pytest.mark.parametrize(("expected", "got"), [(9.41176470588235, 9.411764705882353), (-0.0, 0.0), (True, True), (5, 5.0)])
def test_the_last_digits_of_a_binary_fraction_are_no_difference(expected, got):
    assert list(case_differences("reading", {"x": expected}, {"x": got})) == []


@pytest.mark.parametrize(("expected", "got"), [(9.41, 9.42), (230.1, 230.1001), (0.0, 1e-6), (1, True), (1.0, None)])
def test_what_a_person_would_write_otherwise_is_a_difference(expected, got):
    assert len(list(case_differences("reading", {"x": expected}, {"x": got}))) == 1
