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


class Decision(StrEnum):
    """A person's decision about a found device."""

    ADMIT = "admit"
    IGNORE = "ignore"


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

    @classmethod
    def new(cls, child: ChildDevice) -> ChildRecord:
        """Return the record of a device that has just become a child."""
        return cls(child=child, state=next_child_state(None, ChildEvent.FOUND), marker=str(uuid4()), since=datetime.now(UTC))

    def found_again(self, child: ChildDevice) -> ChildRecord:
        """Return the record after a search found its device again, as `child`; a refused one is retried under another model."""
        is_retried = self.state is ChildState.REFUSED and self.child.model_id != child.model_id
        state = next_child_state(self.state, ChildEvent.MODEL_CHANGED) if is_retried else self.state
        return replace(self.with_child(child), state=state)

    def named(self, name: str | None) -> ChildRecord:
        """Return the record after a person named its device; `None` for the name under which it was found."""
        return self.with_child(self.child.with_name(name))

    def with_child(self, child: ChildDevice) -> ChildRecord:
        """Return the record with this child; the cloud needs an update if it knows another name, firmware or sub-model."""
        is_behind = self.device_id is not None and _updatable_facts(self.child) != _updatable_facts(child)
        return replace(self, child=child, needs_update=self.needs_update or is_behind)

    def credentials(self, parent: Credentials) -> Credentials | None:
        """Return what the child's own calls need; `None` while it has no id or no key."""
        if self.device_id is None or self.access_key is None:
            return None
        return replace(
            parent, device_id=self.device_id, access_key=self.access_key, hub_url=self.hub_url or parent.hub_url
        )  # fmt: skip


def _updatable_facts(child: ChildDevice) -> tuple[str | None, ...]:
    """Return the facts of a child that Update Device can change."""
    return child.name, child.firmware_version, child.sub_model


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
    def name(self) -> str:
        """The name that a person has given it, or else the one under which it was found."""
        return self.found.name if self.given_name is None else self.given_name

    def is_same_apart_from_evidence(self, other: FoundDevice) -> bool:
        """Whether nothing but the time and the evidence differs."""
        return replace(self, at=other.at, found=replace(self.found, evidence=other.found.evidence)) == other
