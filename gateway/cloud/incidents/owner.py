"""Choose the device in the cloud that an incident or an event belongs to: the child itself, or the gateway for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.hub import Credentials
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry


@dataclass(frozen=True, slots=True)
class Owner:
    """A device in the cloud, with its own key."""

    device: Credentials
    child_name: str | None = None
    """The name of the child that the gateway speaks for, since the child has no key; `None` when the device is meant itself."""

    def named(self, text: str) -> str:
        """Return a text with the name of the child before it, if the gateway speaks for a child."""
        return text if self.child_name is None else f"{self.child_name}: {text}"


def owner_of(registry: Registry, parent: Credentials, child: str | None) -> Owner | None:
    """Return whose an incident or an event of this child is; `None` while the child is not registered yet.

    A child without a key, because it was lost or because the child was deleted, has the gateway speak for it.
    """
    if child is None:
        return Owner(parent)
    record = registry.children.get(child)
    if record is None:
        return Owner(parent, registry.name_of(child) or child)
    if record.state.is_in_cloud and (device := record.credentials(parent)) is not None:
        return Owner(device)
    if record.state.is_in_cloud or record.state in (ChildState.DELETED, ChildState.REFUSED):
        return Owner(parent, record.child.name)
    return None
