"""Turn a setting into a write of its characteristic, and compare what the device has with what it was to have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.ble.advertisements.formats import decode, encode
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.profile.commands import MetricCheck
from adapters.ble.profile.grammar import SettingRule
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import CharacteristicPath
from gateway.adapter import CommandRejected, SettingValue, Value


@dataclass(frozen=True, slots=True)
class PreparedSetting:
    """A setting with the value that it is to have."""

    rule: SettingRule
    value: SettingValue
    payload: bytes

    @property
    def path(self) -> CharacteristicPath:
        """The characteristic that holds it."""
        return CharacteristicPath(self.rule.service, self.rule.characteristic)

    def decode(self, payload: bytes) -> Value:
        """Return the value in a payload of the characteristic; `None` where it holds none."""
        try:
            return decode(self.rule.encoding, payload)
        except NotInPayload:
            return None

    def is_met_by(self, payload: bytes) -> bool:
        """Return whether this payload holds the value, as far as its format can represent it."""
        check = MetricCheck(self.rule.characteristic, self.rule.name, self.rule.encoding, self.value)
        return check.problem_in(payload) is None


def prepare_settings(profile: Profile, config: Mapping[str, SettingValue]) -> list[PreparedSetting]:
    """Return the writes of these settings for a device with this profile.

    Raises:
        CommandRejected: there is no such setting, or its characteristic cannot hold the value.
    """
    rules = {rule.name: rule for rule in profile.settings}
    prepared = []
    for name, value in config.items():
        if name not in rules:
            raise CommandRejected(f"{profile.title} has no setting {name!r}; there are {', '.join(rules) or 'none'}")
        try:
            payload = encode(rules[name].encoding, value)
        except ValueError as error:
            raise CommandRejected(f"setting {name}: {error}") from error
        prepared.append(PreparedSetting(rules[name], value, payload))
    return prepared
