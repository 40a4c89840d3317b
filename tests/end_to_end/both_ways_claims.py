"""Say what has to hold of a `both_ways_site.Site` after each step, and in the end, when what was disturbed is repaired."""

import asyncio
import traceback
from collections import Counter
from typing import Final

from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.state.records import Decision
from gateway.testing.line_with_speed import RIGHT_SPEED

SETTLES_WITHIN: Final = 6 * 3600.0
"""Simulated seconds: the hub accepts ten updates an hour of each device, and a refused registration is tried again in an hour."""
ENDS: Final = frozenset({"done", "failed"})


def key_of(serial_number):
    """Return the local key of the child with this serial number."""
    return f"sn:synthetic/{serial_number}"


# what has to hold after each step -------------------------------------------------------------------------------------


def check(site):
    """Raise an AssertionError if anything is wrong at this moment."""
    if site.task is not None and site.task.done():
        error = None if site.task.cancelled() else site.task.exception()
        raise AssertionError(site.described(["the gateway has ended", *traceback.format_exception(error)]))
    _check_effects(site)
    _check_journal(site)
    _note_keyless(site)
    if problems := [*site.problems, *site.log.failures]:
        raise AssertionError(site.described(problems))


def _check_effects(site):
    done = Counter()
    for device in site.devices:
        for command in device.executed:
            done[str(command.id)] += 1
            if command.child != key_of(device.serial_number):
                site.problems.append(f"{command.name} for {command.child} was carried out by {device.serial_number}")
    for _, command in site.commands:
        if (times := done[str(command.id)]) > 1:
            site.problems.append(f"{command.name} was carried out {times} times")
        told = command.message or ""
        if command.status == "done" and command.name in ("set", "identify", "reboot_child") and times != 1:
            site.problems.append(f"{command.name} is called done, and was carried out {times} times")
        if command.status == "failed" and "nothing was sent" in told and times:
            site.problems.append(f"{command.name} was carried out, although the cloud was told: {told}")


def _check_journal(site):
    for entry in site.emulator.journal.entries(site.journal_read):
        site.journal_read = entry.number
        site.called[entry.call] += 1
        deleted = site.cloud.saved_state.deleted
        where = f"{entry.method} {entry.path} at {entry.server}: {entry.status} {entry.error}"
        if "wrong host" in entry.call or entry.call == "Unknown path" or entry.leaked_keys_of:
            site.problems.append(f"wrong host: {where}")
        if entry.server not in ("entry", "hub") or (entry.server == "entry") != entry.call.startswith("Register"):
            site.problems.append(f"wrong host: {where}")
        if entry.status == 401 and entry.fault is None and entry.device not in deleted:
            site.problems.append(f"wrong key: {where}")
        if entry.status == 400 and entry.fault is None:
            site.problems.append(f"a malformed call: {where} {entry.body}")
        if entry.call == "Send Child Telemetries" and isinstance(entry.body, dict):
            foreign = entry.body.keys() - site.cloud.devices.keys() - deleted
            if foreign:
                site.problems.append(f"telemetry of unknown devices: {foreign}")
        if entry.call == "Update Command" and isinstance(entry.body, dict) and entry.body.get("status") in ENDS:
            told = site.told_ends.setdefault(str(entry.body.get("id")), set())
            told.add(entry.body["status"])
            if len(told) > 1:
                site.problems.append(f"two different ends of one command: {told}")


def _note_keyless(site):
    if site.gateway is not None:
        for record in site.state.registry.children.values():
            if record.device_id is not None and record.access_key is None:
                site.keyless.add(record.device_id)


# what has to hold in the end ------------------------------------------------------------------------------------------


def open_points(site):
    """Return what has not come to its end yet; empty when gateway, devices and cloud agree."""
    parent, registry = site.parent(), site.state.registry
    credentials = None if registry.gateway is None else registry.gateway.credentials
    if parent is None or credentials is None or credentials.device_id != parent.id:
        return ["the gateway is not registered"]
    return [
        *_open_children(site, parent),
        *_open_twins(site, parent),
        *_open_commands(site),
        *_open_configurations(site, parent),
        *_open_licences(site),
    ]


def _open_children(site, parent):
    registry = site.state.registry
    for _, device in site.present():
        key = key_of(device.serial_number)
        record = registry.children.get(key)
        if record is None:
            yield f"device {device.serial_number} is no child"
            continue
        in_cloud = site.cloud.devices.get(record.device_id or "")
        if record.state is not ChildState.REGISTERED or in_cloud is None or in_cloud.parent_id != parent.id:
            yield f"device {device.serial_number} is {record.state}, not registered: {record.problem}"
        elif site.gateway.field.availability.of(key).reach is not Reach.REACHABLE:
            yield f"device {device.serial_number} is {site.gateway.field.availability.of(key)}"
        elif in_cloud.state.get("status") != "online":
            yield f"device {device.serial_number} is {in_cloud.state.get('status')} in the cloud"


def _open_twins(site, parent):
    """Each child in the cloud belongs to a device here, or was reported to a person, or lost its key with the response."""
    registry = site.state.registry
    for one in site.children():
        if registry.by_device_id(one.id) is None and one.id not in registry.unused_devices and one.id not in site.keyless:
            yield f"nobody knows {one.id} (serial number {one.sn}) in the cloud; a child of {one.parent_id}, not of {parent.id}?"


def _open_commands(site):
    for device_id, command in site.commands:
        if device_id in site.cloud.devices:
            command.settle(site.cloud.clock())
            if command.is_open:
                yield f"command {command.name} {command.parameters} of {device_id} is {command.status}: {command.message}"


def _open_configurations(site, parent):
    """A child that is gone is left out: it sends no telemetry, whose response would tell of a new version."""
    present = {key_of(device.serial_number) for _, device in site.present()}
    for device in (parent, *site.children()):
        record = None if device is parent else site.state.registry.by_device_id(device.id)
        if device is not parent and (record is None or record.access_key is None or record.child.key not in present):
            continue
        kept, version = site.state.configurations.of(None if record is None else record.child.key), device.config.version
        is_refused = kept.device_id == device.id and kept.problem is not None and kept.problem.version == version
        if version and device.config.applied_version != version and not is_refused:
            yield f"configuration of {device.sn}: {version} in the cloud, {device.config.applied_version} confirmed, {kept}"


def _open_licences(site):
    present = {key_of(device.serial_number) for _, device in site.present()}
    for device in site.cloud.devices.values():
        record = site.state.registry.by_device_id(device.id)
        if device.kinship == "controlled" and (record is None or record.child.key not in present):
            continue  # it is answered when the device has been silent for a day
        for licence in device.licences:
            if licence.state == "pending":
                yield f"licence {licence.id} of {device.sn}: {licence.action} is not answered"


async def heal(site):
    """Repair everything that was disturbed, wait until nothing is open any more, and return what is open all the same.

    What the reference leaves to a person is done, too: the gateway is claimed, a device whose key was lost with the response
    to its registration is deleted (section 13.2), and so is a second one of a child that the gateway has reported; a device that
    may have replaced another one is admitted.
    """
    site.emulator.faults.clear()
    if not site.is_hub_up:
        await site.open_hub()
    for bus in site.buses:
        bus.unplugged = False
    for device in site.devices:
        device.silent, device.command_seconds = False, 0.0
    if site.gateway is None:
        await site.start()
    until = site.loop.time() + SETTLES_WITHIN
    while (remaining := open_points(site)) and site.loop.time() < until:
        await _do_what_is_left_to_people(site)
        await asyncio.sleep(10)
        check(site)
    return remaining


async def _do_what_is_left_to_people(site):
    registry, parent = site.state.registry, site.parent()
    for key, record in list(registry.children.items()):
        if record.awaits_decision:
            await registry.decide(key, Decision.ADMIT)
    for key, found in list(registry.found_devices.items()):
        if found.decision is Decision.IGNORE:
            await registry.decide(key, Decision.ADMIT)
    if parent is not None and parent.claimed is None:
        site.cloud.claim(parent.id)
    entries = site.gateway.own_configuration.effective.configuration.entries
    if parent is not None and parent.config.values and any(entry.speed != RIGHT_SPEED for entry in entries):
        site.cloud.set_config(parent.id, {})  # it came while its bus did not work anyway, so the watch saw nothing get worse
    gateway = registry.gateway
    if parent is not None and gateway is not None and gateway.credentials is None and gateway.former_credentials is None:
        site.cloud.delete(parent.id)  # 13.3: its key was lost with the response
    lost = [record.device_id for record in registry.children.values() if record.device_id and record.access_key is None]
    lost += [device_id for device_id, device in registry.unused_devices.items() if device.access_key is None]
    for device_id in lost:
        if device_id in site.cloud.devices:
            site.cloud.delete(device_id)
