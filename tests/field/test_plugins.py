from importlib.metadata import EntryPoint

import pytest

from gateway.adapter import Adapter
from gateway.field import plugins


def found(monkeypatch, *entries):
    points = [EntryPoint(name, value, plugins.GROUP) for name, value in entries]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    return plugins.installed()


def test_the_built_in_adapters_come_through_the_same_door():
    modbus = plugins.installed()["modbus"]
    assert modbus.distribution == "xyte-gateway"
    assert issubclass(modbus.adapter, Adapter)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no.such.module:Adapter", "cannot be imported: ModuleNotFoundError"),
        ("gateway.models:NoSuchName", "cannot be imported: AttributeError"),
        ("gateway.models:Found", "is not a subclass"),
        ("gateway.adapter:__all__", "is not a subclass"),
    ],
)
def test_a_broken_plugin_says_why_and_harms_nobody(monkeypatch, value, problem):
    installed = found(monkeypatch, ("broken", value), ("synthetic", "gateway.testing.devices:SyntheticAdapter"))
    assert problem in installed["broken"].problem
    assert list(plugins.usable(installed)) == ["synthetic"]
