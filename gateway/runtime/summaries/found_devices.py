"""Summarise the found devices that are no children, and whether they would become children if a person admitted them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.config.settings import Policy
from gateway.field.children.admission import admit
from gateway.models import ChildDevice
from gateway.state.records import Decision, FoundDevice
from gateway.state.registry import Registry
from gateway.status.model import encode_id
from gateway.status.snapshot import WaitingDevice

IGNORED = "a person has decided that it is to be ignored"


class FoundDeviceSummaries:
    """Summaries of the found devices; that of a device that has not changed is reused."""

    def __init__(self, registry: Registry, models: Callable[[], Mapping[str, str]]) -> None:
        self._registry = registry
        self._read_models = models
        self._models = models()
        self._summaries: dict[str, tuple[FoundDevice, WaitingDevice]] = {}

    def all(self) -> Iterator[WaitingDevice]:
        """Yield the summaries of all found devices."""
        if (models := self._read_models()) is not self._models:
            self._models = models
            self._summaries.clear()
        for key in self._summaries.keys() - self._registry.found_devices.keys():
            del self._summaries[key]
        for key, device in self._registry.found_devices.items():
            known = self._summaries.get(key)
            if known is None or known[0] is not device:
                known = self._summaries[key] = device, self._summary(device)
            yield known[1]

    def _summary(self, device: FoundDevice) -> WaitingDevice:
        found = device.found
        as_admitted = admit(
            found,
            adapter=device.adapter,
            bus=device.bus,
            policy=Policy.ALL,
            models=self._models,
            decision=Decision.ADMIT,
        )
        return WaitingDevice(
            id=encode_id(device.key),
            key=device.key,
            name=device.name,
            found_as=None if device.given_name is None else found.name,
            entry=device.adapter,
            bus=device.bus,
            address=found.address,
            found_at=device.at,
            why=IGNORED if device.decision is Decision.IGNORE and not device.is_retired else device.why,
            decision=device.decision,
            profile=found.profile,
            family=found.family,
            model_id=as_admitted.model_id if isinstance(as_admitted, ChildDevice) else None,
            sub_model=found.sub_model,
            confidence=found.confidence,
            manufacturer=found.manufacturer,
            model=found.model,
            serial_number=found.serial_number,
            mac=found.mac,
            firmware_version=found.firmware_version,
            evidence=dict(found.evidence),
            says=dict(found.says),
        )
