"""The records that the registry keeps: the gateway, its children, and found devices that are no children. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from pydantic import SecretStr

from gateway.hub import Credentials
from gateway.models import ChildDevice, Found
from gateway.state.child_states import ChildEvent, ChildState, next_child_state

RETIRED = "retired by a person"
"""How the reason of a found device begins that was a child."""


class Decision(StrEnum):
    """A person's decision about a found device."""

    ADMIT = "admit"
    IGNORE = "ignore"


class Request(StrEnum):
    """What a person asks to be done with a child."""

    RETIRE = "retire"
    """Delete it in the cloud, and ignore its device from now on."""
    RETIRE_HERE = "retire here"
    """The same, but leave it in the cloud."""
    REPLACE = "replace"
    """Let another device continue as this child."""
    REGISTER = "register"
    """Register it, although it is held or may be in the cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """One request of a person, kept until it is carried out."""

    key: str
    """The local key of the child."""
    request: Request
    new_key: str | None = None
    """The local key of the device that replaces it."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRecord:
    """One child and the state of its registration in the cloud."""

    child: ChildDevice
    state: ChildState
    marker: str
    """Goes into the child's `details` in the cloud, so that Get Child Devices shows which of our calls made which device."""
    device_id: str | None = None
    access_key: SecretStr | None = None
    """`None` for a registered child whose key was lost with the answer: telemetry goes on, commands cannot."""
    hub_url: str | None = None
    """Only when the child's registration named another hub than its parent's."""
    parent_id: str | None = None
    needs_update: bool = False
    """The cloud has an old name, firmware version or sub-model of it, which Update Device has to bring up to date."""
    problem: str | None = None
    since: datetime
    unanswered_at: datetime | None = None
    """When a registration was made whose outcome is unknown to this day: the cloud may have, or get, a second device for it."""

    replaces: str | None = None
    """The key of the child at whose address it was found, and which is gone."""

    @classmethod
    def new(cls, child: ChildDevice, *, displaced: ChildDevice | None = None) -> ChildRecord:
        """Return the record of a device that has just become a child, perhaps at the address of another one that is gone."""
        event = ChildEvent.FOUND if displaced is None else ChildEvent.FOUND_IN_PLACE
        record = cls(child=child, state=next_child_state(None, event), marker=str(uuid4()), since=datetime.now(UTC))
        if displaced is None:
            return record
        return replace(record, replaces=displaced.key, problem=_held(displaced, child))

    def found_again(self, child: ChildDevice, *, displaced: ChildDevice | None = None) -> ChildRecord:
        """Return the record after a search found its device again, as `child`.

        A refused one is retried under another model, and a held one that displaces nobody any more is registered. The cloud
        cannot change the model of a device, so a registered child keeps the one that it has.
        """
        if self.device_id is not None:
            child = replace(child, model_id=self.child.model_id)
        after = replace(self.with_child(child), replaces=None if displaced is None else displaced.key)
        if self.state is ChildState.REFUSED and self.child.model_id != child.model_id:
            return replace(after, state=next_child_state(self.state, ChildEvent.MODEL_CHANGED))
        if self.state is ChildState.HELD:
            return after.released() if displaced is None else replace(after, problem=_held(displaced, child))
        return after

    def released(self) -> ChildRecord:
        """Return the record of a child that replaces nobody; a held one is registered."""
        if self.state is not ChildState.HELD:
            return replace(self, replaces=None)
        return replace(self, state=next_child_state(self.state, ChildEvent.IS_ANOTHER), replaces=None, problem=None)

    def named(self, name: str | None) -> ChildRecord:
        """Return the record after a person named its device; `None` for the name under which it was found."""
        return self.with_child(self.child.with_name(name))

    def with_child(self, child: ChildDevice) -> ChildRecord:
        """Return the record with this child; the cloud needs an update if it knows another name, firmware or sub-model."""
        is_behind = self.device_id is not None and _updatable_facts(self.child) != _updatable_facts(child)
        return replace(self, child=child, needs_update=self.needs_update or is_behind)

    def given_way(self, other: ChildDevice) -> ChildRecord:
        """Return the record of a child whose place has the other child again."""
        if self.state is not ChildState.HELD:
            return replace(self, replaces=None)
        problem = f"it was at the address of {other.name}, which is back; it is registered when it is found elsewhere"
        return replace(self, replaces=None, problem=problem)

    @property
    def awaits_decision(self) -> bool:
        """Whether a person has to say that it is to be registered."""
        return self.state is ChildState.HELD or (self.state is ChildState.UNMOVED and self.access_key is None)

    def left_behind(self, why: str) -> UnusedDevice | None:
        """Return its device in the cloud as one that is not used any more; `None` when it has none."""
        if self.device_id is None:
            return None
        return UnusedDevice(
            device_id=self.device_id,
            child=self.child.key,
            name=self.child.name,
            access_key=self.access_key,
            hub_url=self.hub_url,
            why=why,
            at=datetime.now(UTC),
        )

    def credentials(self, parent: Credentials) -> Credentials | None:
        """Return what the child's own calls need; `None` while it has no id or no key."""
        if self.device_id is None or self.access_key is None:
            return None
        return replace(
            parent, device_id=self.device_id, access_key=self.access_key, hub_url=self.hub_url or parent.hub_url
        )  # fmt: skip


def _updatable_facts(child: ChildDevice) -> tuple[str | None, ...]:
    """Return the facts of a child that Update Device can change, some of them in its details."""
    return child.name, child.firmware_version, child.sub_model, child.serial_number, child.mac


def replacement_question(displaced: ChildDevice, new_key: str) -> str:
    """Return what a person is asked about a device that was found at the address of a child."""
    return (
        f"If it replaces {displaced.name}: xyte-gateway children replace {displaced.key} {new_key}. If not: xyte-gateway children"
        f" admit {new_key}"
    )


def _held(displaced: ChildDevice, found: ChildDevice) -> str:
    return f"it answers at the address of {displaced.name}, which is gone. {replacement_question(displaced, found.key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedDevice:
    """A device in the cloud that a registration of this gateway made, and that it does not use."""

    device_id: str
    child: str
    """The local key of the child that it was made for."""
    name: str
    """The name of that child, for a person."""
    access_key: SecretStr | None
    """With its key, the gateway deletes it; without one, a person has to."""
    hub_url: str | None
    why: str
    """Why it exists and is not used, as the end of a sentence that begins with its id."""
    at: datetime

    def credentials(self, parent: Credentials) -> Credentials | None:
        """Return what its own calls need; `None` without its key."""
        if self.access_key is None:
            return None
        return replace(parent, device_id=self.device_id, access_key=self.access_key, hub_url=self.hub_url or parent.hub_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """The gateway's own identity, made once and kept for ever, and its credentials while it has any."""

    serial_number: str
    mac: str | None
    cloud_id: str | None
    credentials: Credentials | None = None
    former_credentials: Credentials | None = None
    """Those that the hub refused, kept until new ones are there: if the hub was wrong, they still work."""
    sent_info: str | None = None
    """The name, version and sub-model that the cloud was sent last, to see when it needs an update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device that was found and is no child."""

    key: str
    adapter: str
    bus: str
    found: Found
    why: str
    """Why it is no child, and what would make it one."""
    decision: Decision | None
    at: datetime
    given_name: str | None = None
    """The name that a person has given it."""

    @property
    def is_retired(self) -> bool:
        """Whether it was a child, which a person has retired: `why` says so."""
        return self.why.startswith(RETIRED)

    @property
    def name(self) -> str:
        """The name that a person has given it, or else the one under which it was found."""
        return self.found.name if self.given_name is None else self.given_name

    def is_same_apart_from_evidence(self, other: FoundDevice) -> bool:
        """Whether nothing but the time and the evidence differs."""
        return replace(self, at=other.at, found=replace(self.found, evidence=other.found.evidence)) == other
