import pytest

from gateway.field.polling.load import BusLoad, LoadPurpose


def test_what_the_bus_was_used_for_is_told_as_shares_of_the_last_minutes():
    load = BusLoad(0.0)
    for second in range(120):
        load.add(LoadPurpose.READING, "a", 0.25, second + 1.0)
        load.add(LoadPurpose.SILENT, "b", 0.05, second + 1.0)
    shares = load.by_purpose(120.0)
    assert shares[LoadPurpose.READING] == pytest.approx(0.25, abs=0.01)
    assert shares[LoadPurpose.SILENT] == pytest.approx(0.05, abs=0.01)
    assert shares[LoadPurpose.COMMANDS] == 0
    assert load.by_child(120.0)["a"] == pytest.approx(0.25, abs=0.01)


def test_what_was_long_ago_is_forgotten():
    load = BusLoad(0.0)
    load.add(LoadPurpose.READING, "a", 30.0, 30.0)
    assert load.by_child(60.0)["a"] == pytest.approx(0.5)
    load.by_child(61.0)
    assert load.by_child(122.0) == {}
