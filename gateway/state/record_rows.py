"""Read and write the registry's records as rows of the store: the SQL, and the JSON inside the columns.

Table and column names are those of the stores that users have: `met` holds found devices, `told` the sent info, and `update_owed`
whether a child needs an update.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from uuid import uuid4

from pydantic import SecretStr, TypeAdapter

from gateway.hub import Credentials
from gateway.models import ChildDevice, Found
from gateway.state.child_states import ChildState
from gateway.state.database.columns import Unusable, moment, number, optional_moment, optional_secret, optional_text, text
from gateway.state.database.set_aside import UNREADABLE, Mending, read_rows
from gateway.state.records import ChildRecord, ChildRequest, Decision, FoundDevice, GatewayRecord, Request, UnusedDevice
from gateway.state.store import Transaction

T = TypeVar("T")

_DEVICE = TypeAdapter(ChildDevice)
_FOUND = TypeAdapter(Found)
_CREDENTIALS = TypeAdapter(dict[str, str | None])


class StoredRecords(NamedTuple):
    """Everything that the registry has stored."""

    gateway: GatewayRecord | None
    children: list[ChildRecord]
    found_devices: list[FoundDevice]
    names: dict[str, str]
    """The names that devices were given, by local key."""
    names_from_cloud: frozenset[str]
    """The keys of those whose name was given in the cloud."""
    unused_devices: list[UnusedDevice]
    requests: list[ChildRequest]


def read_gateway(db: Transaction) -> GatewayRecord | None:
    """Return the gateway's record as it is in a store; `None` before its identity was made."""
    read = read_rows(
        db,
        "gateway",
        "serial_number, mac, cloud_id, credentials, former_credentials, told",
        _gateway,
        mending=Mending(_mended_gateway, write_gateway),
    )
    return read[0] if read else None


def _gateway(serial: object, mac: object, cloud_id: object, credentials: object, former: object, told: object) -> GatewayRecord:
    return GatewayRecord(
        serial_number=text(serial, "serial_number"),
        mac=optional_text(mac, "mac"),
        cloud_id=optional_text(cloud_id, "cloud_id"),
        credentials=_credentials_from(credentials, "credentials"),
        former_credentials=_credentials_from(former, "former_credentials"),
        sent_info=optional_text(told, "told"),
    )


def _mended_gateway(serial: object, *row: object) -> GatewayRecord:
    """Return the record without what cannot be read of it: with its serial number, it is still the same gateway."""
    mac, cloud_id, credentials, former, told = row
    return GatewayRecord(
        serial_number=text(serial, "serial_number"),
        mac=_usable(optional_text, mac),
        cloud_id=_usable(optional_text, cloud_id),
        credentials=_usable(_credentials_from, credentials),
        former_credentials=_usable(_credentials_from, former),
        sent_info=_usable(optional_text, told),
    )


def _usable(read: Callable[[object, str], T | None], value: object) -> T | None:
    """Return what `read` makes of a value; `None` when it is damaged."""
    try:
        return read(value, "")
    except UNREADABLE:
        return None


def read_all(db: Transaction) -> StoredRecords:
    """Return everything that the registry has stored."""
    names = read_rows(db, "names", "key, name, from_cloud", _name)
    return StoredRecords(
        gateway=read_gateway(db),
        children=read_rows(db, "children", _CHILD_COLUMNS, _child, "ORDER BY rowid", mending=Mending(_mended_child, write_child)),
        found_devices=read_rows(db, "met", "key, adapter, bus, found, why, decision, at", _found_device, "ORDER BY rowid"),
        names={key: name for key, name, _ in names},
        names_from_cloud=frozenset(key for key, _, is_from_cloud in names if is_from_cloud),
        unused_devices=read_rows(
            db,
            "unused_devices",
            "device_id, child, name, access_key, hub_url, why, at",
            _unused_device,
            "ORDER BY rowid",
        ),
        requests=read_rows(db, "child_requests", "key, request, new_key, at", _request, "ORDER BY rowid"),
    )


_CHILD_COLUMNS = (
    "key, device, state, marker, device_id, access_key, hub_url, parent_id, update_owed, problem, since, unanswered_at, replaces"
)


def _child(key: object, device: object, state: object, marker: object, device_id: object, *row: object) -> ChildRecord:
    access_key, hub_url, parent_id, needs_update, problem, since, unanswered_at, replaces = row
    return ChildRecord(
        child=_child_device(key, device),
        state=_state(state, "state"),
        marker=text(marker, "marker"),
        device_id=optional_text(device_id, "device_id"),
        access_key=optional_secret(access_key, "access_key"),
        hub_url=optional_text(hub_url, "hub_url"),
        parent_id=optional_text(parent_id, "parent_id"),
        needs_update=bool(number(needs_update, "update_owed")),
        problem=optional_text(problem, "problem"),
        since=moment(since, "since"),
        unanswered_at=optional_moment(unanswered_at, "unanswered_at"),
        replaces=optional_text(replaces, "replaces"),
    )


def _mended_child(key: object, device: object, state: object, marker: object, device_id: object, *row: object) -> ChildRecord:
    """Return the record without what cannot be read of it, so that the child is not registered a second time.

    Without its id, it counts as a child whose registration is unanswered: it is looked for in the cloud by its marker.
    """
    access_key, hub_url, parent_id, _, problem, since, unanswered_at, replaces = row
    is_registered = _usable(optional_text, device_id) is not None
    known = _usable(_state, state) if is_registered or device_id is None else None
    return ChildRecord(
        child=_child_device(key, device),
        state=known or (ChildState.REGISTERED if is_registered else ChildState.REGISTERING),
        marker=_usable(text, marker) or str(uuid4()),
        device_id=_usable(optional_text, device_id),
        access_key=_usable(optional_secret, access_key) if is_registered else None,
        hub_url=_usable(optional_text, hub_url),
        parent_id=_usable(optional_text, parent_id),
        needs_update=is_registered,
        problem=_usable(optional_text, problem),
        since=_usable(moment, since) or datetime.now(UTC),
        unanswered_at=_usable(optional_moment, unanswered_at),
        replaces=_usable(optional_text, replaces),
    )


def _state(value: object, column: str) -> ChildState:
    return ChildState(text(value, column))


def _child_device(key: object, device: object) -> ChildDevice:
    child = _DEVICE.validate_json(text(device, "device"))
    if child.key != text(key, "key"):
        raise Unusable("key and device are not of the same child")
    return child


def _found_device(key: object, adapter: object, bus: object, found: object, *row: object) -> FoundDevice:
    why, decision, at = row
    return FoundDevice(
        key=text(key, "key"),
        adapter=text(adapter, "adapter"),
        bus=text(bus, "bus"),
        found=_FOUND.validate_json(text(found, "found")),
        why=text(why, "why"),
        decision=None if decision is None else Decision(text(decision, "decision")),
        at=moment(at, "at"),
    )


def _name(key: object, name: object, from_cloud: object) -> tuple[str, str, bool]:
    return text(key, "key"), text(name, "name"), number(from_cloud, "from_cloud") == 1


def _unused_device(device_id: object, child: object, name: object, access_key: object, *row: object) -> UnusedDevice:
    hub_url, why, at = row
    return UnusedDevice(
        device_id=text(device_id, "device_id"),
        child=text(child, "child"),
        name=text(name, "name"),
        access_key=optional_secret(access_key, "access_key"),
        hub_url=optional_text(hub_url, "hub_url"),
        why=text(why, "why"),
        at=moment(at, "at"),
    )


def _request(key: object, request: object, new_key: object, at: object) -> ChildRequest:
    return ChildRequest(
        key=text(key, "key"),
        request=Request(text(request, "request")),
        new_key=optional_text(new_key, "new_key"),
        at=moment(at, "at"),
    )


def write_gateway(db: Transaction, record: GatewayRecord) -> None:
    """Write the gateway's identity and credentials."""
    db.execute(
        "INSERT OR REPLACE INTO gateway (only_row, serial_number, mac, cloud_id, credentials, former_credentials, told)"
        " VALUES (1, ?, ?, ?, ?, ?, ?)",
        (
            record.serial_number,
            record.mac,
            record.cloud_id,
            _credentials_text(record.credentials),
            _credentials_text(record.former_credentials),
            record.sent_info,
        ),
    )


def write_child(db: Transaction, record: ChildRecord) -> None:
    """Write a child, new or known."""
    db.execute(
        "INSERT INTO children"
        " (key, device, state, marker, device_id, access_key, hub_url, parent_id, update_owed, problem, since, unanswered_at,"
        " replaces) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET device = excluded.device, state = excluded.state, marker = excluded.marker,"
        " device_id = excluded.device_id, access_key = excluded.access_key, hub_url = excluded.hub_url,"
        " parent_id = excluded.parent_id, update_owed = excluded.update_owed, problem = excluded.problem,"
        " since = excluded.since, unanswered_at = excluded.unanswered_at,"
        " replaces = excluded.replaces",
        (
            record.child.key,
            _DEVICE.dump_json(record.child).decode(),
            record.state.value,
            record.marker,
            record.device_id,
            None if record.access_key is None else record.access_key.get_secret_value(),
            record.hub_url,
            record.parent_id,
            int(record.needs_update),
            record.problem,
            record.since.isoformat(),
            None if record.unanswered_at is None else record.unanswered_at.isoformat(),
            record.replaces,
        ),
    )


def write_found_device(db: Transaction, device: FoundDevice) -> None:
    """Write a found device that is no child."""
    db.execute(
        "INSERT OR REPLACE INTO met (key, adapter, bus, found, why, decision, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            device.key,
            device.adapter,
            device.bus,
            _FOUND.dump_json(device.found).decode(),
            device.why,
            device.decision,
            device.at.isoformat(),
        ),
    )


def write_unused_device(db: Transaction, device: UnusedDevice) -> None:
    """Write a device in the cloud that is not used."""
    db.execute(
        "INSERT OR REPLACE INTO unused_devices (device_id, child, name, access_key, hub_url, why, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            device.device_id,
            device.child,
            device.name,
            None if device.access_key is None else device.access_key.get_secret_value(),
            device.hub_url,
            device.why,
            device.at.isoformat(),
        ),
    )


def write_request(db: Transaction, request: ChildRequest) -> None:
    """Write a request of a person; a later one for the same child takes its place."""
    db.execute(
        "INSERT OR REPLACE INTO child_requests (key, request, new_key, at) VALUES (?, ?, ?, ?)",
        (request.key, request.request, request.new_key, request.at.isoformat()),
    )


def remove_request(db: Transaction, key: str) -> None:
    """Remove a request that was carried out."""
    db.execute("DELETE FROM child_requests WHERE key = ?", (key,))


def write_retired(db: Transaction, device: FoundDevice, unused: UnusedDevice | None) -> None:
    """Write a child that is none any more: a found device that is ignored, and perhaps a device in the cloud to be deleted."""
    db.execute("DELETE FROM children WHERE key = ?", (device.key,))
    remove_request(db, device.key)
    write_found_device(db, device)
    if unused is not None:
        write_unused_device(db, unused)


def write_replaced(db: Transaction, old_key: str, record: ChildRecord, unused: UnusedDevice | None) -> None:
    """Write a child that goes on with another device: what is kept of it, too, has the key of that device from now on."""
    new_key = record.child.key
    db.execute("DELETE FROM children WHERE key IN (?, ?)", (old_key, new_key))
    remove_request(db, old_key)
    if unused is not None:
        write_unused_device(db, unused)
    write_admitted(db, record)
    db.execute(
        "INSERT OR IGNORE INTO names (key, name, from_cloud) SELECT ?, name, from_cloud FROM names WHERE key = ?",
        (new_key, old_key),
    )
    db.execute("DELETE FROM names WHERE key = ?", (old_key,))
    for statement in _WITH_A_CHILD:
        db.execute(statement, (new_key, old_key))


_WITH_A_CHILD = (
    "UPDATE outbox SET child = ? WHERE child = ?",
    "UPDATE OR REPLACE configurations SET device = ? WHERE device = ?",
    "UPDATE licences SET child = ? WHERE child = ?",
    "UPDATE unused_devices SET child = ? WHERE child = ?",
)
"""Give what is kept for one child to another one. What concerns the hardware stays with the key of the former one, so that no
command, firmware job, event or incident of it reaches the new one."""


def remove_unused_device(db: Transaction, device_id: str) -> None:
    """Remove a device that the cloud does not have any more."""
    db.execute("DELETE FROM unused_devices WHERE device_id = ?", (device_id,))


def remove_found_device(db: Transaction, key: str) -> None:
    """Remove a found device, and the name that a person has given it."""
    db.execute("DELETE FROM met WHERE key = ?", (key,))
    db.execute("DELETE FROM names WHERE key = ?", (key,))


def write_name(db: Transaction, key: str, name: str | None, *, from_cloud: bool = False) -> None:
    """Write the name that a person has given to a device, here or in the cloud; `None` removes it."""
    if name is None:
        db.execute("DELETE FROM names WHERE key = ?", (key,))
    else:
        db.execute("INSERT OR REPLACE INTO names (key, name, from_cloud) VALUES (?, ?, ?)", (key, name, int(from_cloud)))


def write_admitted(db: Transaction, record: ChildRecord) -> None:
    """Write a child, which is no longer a found device that waits."""
    write_child(db, record)
    db.execute("DELETE FROM met WHERE key = ?", (record.child.key,))


def _credentials_text(credentials: Credentials | None) -> str | None:
    if credentials is None:
        return None
    return _CREDENTIALS.dump_json(
        {
            "device_id": credentials.device_id,
            "access_key": credentials.access_key.get_secret_value(),
            "hub_url": credentials.hub_url,
            "hub_url_static_cert": credentials.hub_url_static_cert,
            "mqtt_hub_url": credentials.mqtt_hub_url,
        }
    ).decode()


def _credentials_from(written: object, column: str) -> Credentials | None:
    if written is None:
        return None
    stored = _CREDENTIALS.validate_json(text(written, column))
    device_id, access_key, hub_url = stored["device_id"], stored["access_key"], stored["hub_url"]
    if not device_id or not access_key or not hub_url:
        raise Unusable(f"{column} lack the id, the key or the hub's address")
    return Credentials(
        device_id=device_id,
        access_key=SecretStr(access_key),
        hub_url=hub_url,
        hub_url_static_cert=stored["hub_url_static_cert"],
        mqtt_hub_url=stored["mqtt_hub_url"],
    )
