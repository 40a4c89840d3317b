"""Read and write the registry's records as rows of the store: the SQL, and the JSON inside the columns.

Table and column names are those of the stores that users have: `met` holds found devices, `told` the sent info, and `update_owed`
whether a child needs an update.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr, TypeAdapter

from gateway.hub import Credentials
from gateway.models import ChildDevice, Found
from gateway.state.child_states import ChildState
from gateway.state.records import ChildRecord, ChildRequest, Decision, FoundDevice, GatewayRecord, Request, UnusedDevice
from gateway.state.store import Transaction

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
    for serial, mac, cloud_id, credentials, former, told in db.execute(
        "SELECT serial_number, mac, cloud_id, credentials, former_credentials, told FROM gateway"
    ):
        return GatewayRecord(
            serial_number=serial,
            mac=mac,
            cloud_id=cloud_id,
            credentials=_credentials_from(credentials),
            former_credentials=_credentials_from(former),
            sent_info=told,
        )
    return None


def read_all(db: Transaction) -> StoredRecords:
    """Return everything that the registry has stored."""
    return StoredRecords(
        gateway=read_gateway(db),
        children=_read_children(db),
        found_devices=_read_found_devices(db),
        names=dict(db.execute("SELECT key, name FROM names")),
        names_from_cloud=frozenset(key for (key,) in db.execute("SELECT key FROM names WHERE from_cloud = 1")),
        unused_devices=_read_unused_devices(db),
        requests=[
            ChildRequest(key=key, request=Request(request), new_key=new_key, at=datetime.fromisoformat(at))
            for key, request, new_key, at in db.execute("SELECT key, request, new_key, at FROM child_requests ORDER BY rowid")
        ],
    )


def _read_children(db: Transaction) -> list[ChildRecord]:
    rows = db.execute(
        "SELECT device, state, marker, device_id, access_key, hub_url, parent_id, update_owed, problem, since, unanswered_at,"
        " replaces FROM children ORDER BY rowid"
    )
    return [
        ChildRecord(
            child=_DEVICE.validate_json(device),
            state=ChildState(state),
            marker=marker,
            device_id=device_id,
            access_key=None if access_key is None else SecretStr(access_key),
            hub_url=hub_url,
            parent_id=parent_id,
            needs_update=bool(needs_update),
            problem=problem,
            since=datetime.fromisoformat(since),
            unanswered_at=None if unanswered_at is None else datetime.fromisoformat(unanswered_at),
            replaces=replaces,
        )
        for device, state, marker, device_id, access_key, hub_url, parent_id, *rest in rows
        for needs_update, problem, since, unanswered_at, replaces in [rest]
    ]


def _read_found_devices(db: Transaction) -> list[FoundDevice]:
    return [
        FoundDevice(
            key=key,
            adapter=adapter,
            bus=bus,
            found=_FOUND.validate_json(found),
            why=why,
            decision=None if decision is None else Decision(decision),
            at=datetime.fromisoformat(at),
        )
        for key, adapter, bus, found, why, decision, at in db.execute(
            "SELECT key, adapter, bus, found, why, decision, at FROM met ORDER BY rowid"
        )
    ]


def _read_unused_devices(db: Transaction) -> list[UnusedDevice]:
    return [
        UnusedDevice(
            device_id=device_id,
            child=child,
            name=name,
            access_key=None if access_key is None else SecretStr(access_key),
            hub_url=hub_url,
            why=why,
            at=datetime.fromisoformat(at),
        )
        for device_id, child, name, access_key, hub_url, why, at in db.execute(
            "SELECT device_id, child, name, access_key, hub_url, why, at FROM unused_devices ORDER BY rowid"
        )
    ]


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


def _credentials_from(text: str | None) -> Credentials | None:
    if text is None:
        return None
    stored = _CREDENTIALS.validate_json(text)
    return Credentials(
        device_id=stored["device_id"] or "",
        access_key=SecretStr(stored["access_key"] or ""),
        hub_url=stored["hub_url"] or "",
        hub_url_static_cert=stored["hub_url_static_cert"],
        mqtt_hub_url=stored["mqtt_hub_url"],
    )
