"""The objects that a service exports, and how the bus learns of what becomes of them. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import Refused

Properties: TypeAlias = Mapping[str, Variant]
Signal: TypeAlias = Callable[[str, str, str, str, list[object]], None]
"""Path, interface, member, signature, body."""

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
YES: Final = Variant("b", True)  # noqa: FBT003 - a value, not a switch
NO: Final = Variant("b", False)  # noqa: FBT003 - a value, not a switch


class ObjectTree:
    """All objects of a service, by path, interface and property; every change is signalled."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._objects: dict[str, dict[str, dict[str, Variant]]] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    @property
    def managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """Everything, as GetManagedObjects returns it."""
        return self._objects

    def add(self, path: str, interfaces: Mapping[str, Properties]) -> None:
        """Let an object appear, or more interfaces of one that is there."""
        self._objects.setdefault(path, {}).update({name: {**properties} for name, properties in interfaces.items()})
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str, interfaces: Iterable[str] | None = None) -> None:
        """Let an object vanish, or only some of its interfaces; one that is not there is left alone."""
        there = self._objects.get(path, {})
        gone = [name for name in ([*there] if interfaces is None else interfaces) if there.pop(name, None) is not None]
        if not there:
            self._objects.pop(path, None)
        if gone:
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, gone])

    def remove_below(self, path: str) -> None:
        """Let an object vanish with everything below it, the deepest first."""
        below = [known for known in self._objects if known == path or known.startswith(f"{path}/")]
        for known in sorted(below, reverse=True):
            self.remove(known)

    def change(self, path: str, interface: str, properties: Properties, gone: Iterable[str] = ()) -> None:
        """Change properties, and withdraw others; one signal tells of both. An object that is not there is left alone."""
        there = self._objects.get(path, {}).get(interface)
        if there is None:
            return
        there.update(properties)
        withdrawn = [name for name in gone if there.pop(name, None) is not None]
        if properties or withdrawn:
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, {**properties}, withdrawn])

    def properties(self, path: str, interface: str) -> dict[str, Variant]:
        """Return the properties of an object's interface.

        Raises:
            Refused: there is no such thing.
        """
        if path not in self._objects:
            raise Refused(dbus_errors.UNKNOWN_OBJECT)
        if interface not in self._objects[path]:
            raise Refused(dbus_errors.UNKNOWN_METHOD)
        return self._objects[path][interface]
