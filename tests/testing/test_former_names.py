"""A test tool that was renamed can still be imported under its former name, with a warning."""

from importlib import import_module

import pytest

RENAMED = {
    "bluetooth": ["Air", "Changes", "Faults", "Refusal", "Refused"],
    "modbus": ["Refusal", "Served", "Steps"],
    "serial": ["Faults"],
}


@pytest.mark.parametrize(("package", "name"), [(package, name) for package, names in RENAMED.items() for name in names])
def test_a_former_name_still_works_and_says_the_present_one(package, name):
    module = import_module(f"gateway.testing.{package}")
    with pytest.warns(DeprecationWarning, match=rf"gateway.testing.{package}.{name} is called \w+ now"):
        tool = getattr(module, name)
    assert tool.__name__ in module.__all__


def test_a_name_that_never_was_is_missing():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        import_module("gateway.testing.serial").Nonsense  # noqa: B018 - the access is what is tested
