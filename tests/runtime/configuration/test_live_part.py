"""A new configuration is divided: what takes effect at once does, and nothing else."""

from gateway.adapter_settings import AdapterSettings
from gateway.config.settings import CloudSection, Configuration, Settings
from gateway.runtime.configuration.live_part import LIVE_KEYS, changed_settings, is_live, live_part


def configuration(*entries, **sections):
    return Configuration(None, Settings(**sections), tuple(AdapterSettings(**entry) for entry in entries))


def test_only_what_is_live_is_taken_over_and_the_rest_waits():
    old = configuration(cloud={"telemetry_every": 30, "entry_url": "https://a.example"}, log={"level": "info", "format": "text"})
    new = configuration(
        {"type": "modbus"}, cloud={"telemetry_every": 60, "entry_url": "https://b.example", "may": "observe"},
        log={"level": "debug", "format": "json"}, models={"*": "m"}, child={"k": {"may": "observe"}},
    )  # fmt: skip
    live = live_part(old, new)
    assert [place for place, _, _ in changed_settings(live, new)] == [("cloud", "entry_url"), ("log", "format")]
    assert live.entries == new.entries
    assert {place for place, _, _ in changed_settings(old, new) if is_live(place)} == {
        ("cloud", "telemetry_every"), ("cloud", "may"), ("log", "level"), ("models", "*"), ("child", "k"),
    }  # fmt: skip


def test_a_key_that_is_left_out_stays_left_out_so_that_the_cloud_may_set_it():
    old, new = configuration(cloud={"telemetry_every": 30}), configuration(cloud={"entry_url": "https://b.example"})
    assert live_part(old, new).settings.cloud.model_fields_set == set()
    assert live_part(new, old).settings.cloud.model_fields_set == {"telemetry_every", "entry_url"}


def test_every_key_that_is_live_exists():
    for name, keys in LIVE_KEYS.items():
        assert keys <= type(getattr(Settings(), name)).model_fields.keys()
    assert is_live(("cloud", "may"))
    assert not is_live(("store", "path"))
    assert CloudSection.model_fields.keys() - LIVE_KEYS["cloud"]
