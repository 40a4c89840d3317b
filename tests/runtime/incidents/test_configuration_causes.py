"""A configuration that did harm is an incident until another version is in effect."""

from gateway.runtime.incidents.configuration_causes import configuration_causes
from gateway.state.configurations import ConfigurationRecord, Refusal, RefusalKind, VersionedContent


def causes(**records):
    by_child = {None if key == "gateway" else key: record for key, record in records.items()}
    return list(configuration_causes(by_child, {"c1": "Oven"}.get))


def record(applied, refused, kind=RefusalKind.HARM):
    return ConfigurationRecord(
        applied=VersionedContent(version=applied), refusal=Refusal(version=refused, why="the bus is lost", kind=kind)
    )


def test_a_configuration_that_did_harm_is_an_incident_of_its_device():
    own, child = causes(gateway=record(1, 2), c1=record(0, 1))
    assert (own.cause, own.child) == ("configuration_rolled_back", None)
    assert (child.cause, child.child) == ("configuration_rolled_back:c1", "c1")
    assert "Oven" in child.title
    assert "the bus is lost" in child.what_to_do


def test_it_is_over_when_a_newer_version_is_in_effect_and_what_is_only_refused_is_none():
    assert causes(gateway=record(3, 2)) == []
    assert causes(gateway=record(1, 2, RefusalKind.CONTENT), c1=record(1, 2, RefusalKind.CEILING)) == []
    assert causes(gateway=ConfigurationRecord()) == []
