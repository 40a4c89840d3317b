import pytest

from gateway.config.entries import entry_from
from gateway.errors import SettingsError
from gateway.testing.devices import SyntheticAdapter

ADAPTERS = {"synthetic": SyntheticAdapter}


def test_an_entry_can_be_described_without_a_file():
    assert entry_from({"type": "synthetic"}, ADAPTERS).name == "synthetic"
    with pytest.raises(SettingsError, match="discover_evry"):
        entry_from({"type": "synthetic", "discover_evry": 1}, ADAPTERS)


def test_a_mistake_in_an_entry_without_a_file_is_named_by_its_key_alone():
    with pytest.raises(SettingsError) as caught:
        entry_from({"type": "synthetic", "load_limit": 2}, ADAPTERS)
    assert [problem.where for problem in caught.value.problems] == ["load_limit"]
    with pytest.raises(SettingsError) as caught:
        entry_from({"type": "odd"}, ADAPTERS)
    assert [problem.where for problem in caught.value.problems] == ["type"]
