"""Look up a device of the cloud by its id: its child, its credentials, its name, and whose turn it is to be asked. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from gateway.cloud.protocol.values import printable_line
from gateway.errors import HubUnauthorised
from gateway.hub import Credentials
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

CHILDREN_ASKED_SINGLY = 10
"""How many children are asked in each round where the bulk response does not name the owners."""

UNMOVED_ASKED_SINGLY = 3
"""How many children of a former registration are asked in each round."""

NAME_LENGTH = 100
"""The longest name in a record or in the log, in characters: it may quote what the cloud has sent."""


class CloudDevices:
    """The gateway and its children, by the ids that the cloud has given them.

    Args:
        registry: knows the children and their keys.
        check_child: is called with the key of a child whose access key the hub refused.
    """

    def __init__(self, registry: Registry, check_child: Callable[[str], None]) -> None:
        self._registry = registry
        self._check_child = check_child
        self._next_child = 0
        self._next_unmoved = 0
        self._without_key: set[str] = set()

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._without_key.clear()

    def next_to_ask(self, parent: Credentials) -> list[str]:
        """Return the gateway itself and the next few children, each in its turn."""
        children = self.children_in_cloud()
        start = self._next_child % max(len(children), 1)
        self._next_child = start + CHILDREN_ASKED_SINGLY
        return [parent.device_id, *children[start : start + CHILDREN_ASKED_SINGLY]]

    def unlisted(self, flagged: Collection[str]) -> list[str]:
        """Return the children to ask singly although all are listed: those that are not under this registration of the gateway.

        Those that are flagged, and a few others in turn, since a silent child has no flag.
        """
        unmoved = [
            record.device_id
            for record in self._registry.children.values()
            if record.state is ChildState.UNMOVED and record.access_key is not None and record.device_id is not None
        ]
        start = self._next_unmoved % max(len(unmoved), 1)
        self._next_unmoved = start + UNMOVED_ASKED_SINGLY
        return [*dict.fromkeys([*(one for one in unmoved if one in flagged), *unmoved[start : start + UNMOVED_ASKED_SINGLY]])]

    def children_in_cloud(self) -> list[str]:
        """Return the ids of the registered children whose key is known."""
        return [
            record.device_id
            for record in self._registry.children.values()
            if record.state.is_in_cloud and record.access_key is not None and record.device_id is not None
        ]

    def is_known(self, parent: Credentials, device_id: str) -> bool:
        """Return whether this is the id of the gateway itself or of a child now."""
        return device_id == parent.device_id or self._registry.by_device_id(device_id) is not None

    def is_child(self, child: str) -> bool:
        """Return whether a device with this local key is a child."""
        return child in self._registry.children

    def child_of(self, parent: Credentials, device_id: str) -> str | None:
        """Return the local key of a child; `None` for the gateway itself and for an unknown device."""
        record = None if device_id == parent.device_id else self._registry.by_device_id(device_id)
        return None if record is None else record.child.key

    def credentials_of(self, parent: Credentials, device_id: str) -> Credentials | None:
        """Return the credentials of a device; `None` for one that is no child, or whose key was lost, which is logged once."""
        if device_id == parent.device_id:
            return parent
        record = self._registry.by_device_id(device_id)
        device = record.credentials(parent) if record is not None else None
        if device is None and device_id not in self._without_key:
            self._without_key.add(device_id)
            name = record.child.name if record is not None else printable_line(device_id, NAME_LENGTH)
            log.warning("%s: its access key was lost, so its commands, configuration and licences cannot be served", name)
        return device

    def name_of(self, child: str | None) -> str:
        """Return what a person calls a child, by its local key; `None` is the gateway itself."""
        return "the gateway" if child is None else self._registry.name_of(child) or child

    def key_refused(self, parent: Credentials, device_id: str) -> None:
        """Have a child's key checked.

        Raises:
            HubUnauthorised: it is the key of the gateway itself, which a guarded call confirms.
        """
        if device_id == parent.device_id:
            raise HubUnauthorised("the key is not accepted", status=401, error="Not authorized")
        record = self._registry.by_device_id(device_id)
        if record is not None:
            self._check_child(record.child.key)
