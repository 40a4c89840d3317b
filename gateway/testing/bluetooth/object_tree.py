"""Store the D-Bus objects that a service exports, and signal every change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import OperationFailed

Properties: TypeAlias = Mapping[str, Variant]
Signal: TypeAlias = Callable[[str, str, str, str, list[object]], None]
"""Path, interface, member, signature, body."""

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
YES: Final = Variant("b", True)  # noqa: FBT003 - a value, not a switch
NO: Final = Variant("b", False)  # noqa: FBT003 - a value, not a switch


class ObjectTree:
    """All objects of a service, by path, interface and property."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._objects: dict[str, dict[str, dict[str, Variant]]] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    @property
    def managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """All objects, as GetManagedObjects returns them."""
        return self._objects

    def add(self, path: str, interfaces: Mapping[str, Properties]) -> None:
        """Add an object, or interfaces to an existing object."""
        self._objects.setdefault(path, {}).update({name: {**properties} for name, properties in interfaces.items()})
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str, interfaces: Iterable[str] | None = None) -> None:
        """Remove an object, or only some of its interfaces; does nothing where there is none."""
        present = self._objects.get(path, {})
        removed = [name for name in ([*present] if interfaces is None else interfaces) if present.pop(name, None) is not None]
        if not present:
            self._objects.pop(path, None)
        if removed:
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, removed])

    def remove_below(self, path: str) -> None:
        """Remove an object and all objects below it, the deepest first."""
        below = [known for known in self._objects if known == path or known.startswith(f"{path}/")]
        for known in sorted(below, reverse=True):
            self.remove(known)

    def change(self, path: str, interface: str, properties: Properties, invalidated: Iterable[str] = ()) -> None:
        """Change properties and invalidate others with one signal; does nothing where there is no such object."""
        present = self._objects.get(path, {}).get(interface)
        if present is None:
            return
        present.update(properties)
        removed = [name for name in invalidated if present.pop(name, None) is not None]
        if properties or removed:
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, {**properties}, removed])

    def properties(self, path: str, interface: str) -> dict[str, Variant]:
        """Return the properties of an object's interface.

        Raises:
            OperationFailed: there is no such object or interface.
        """
        if path not in self._objects:
            raise OperationFailed(dbus_errors.UNKNOWN_OBJECT)
        if interface not in self._objects[path]:
            raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
        return self._objects[path][interface]
