"""List what is said of commands, incidents and the cloud, as data; `said.py` tells how."""

from __future__ import annotations

BY_ACTIONS: dict[str, tuple[str, ...]] = {
    "gateway/cloud/configuration/trials.py": (
        "configuration version {number} is applied: {changes}",
        "since it was applied, {problem}; the former configuration is back",
    ),
    "gateway/cloud/commands/outcome_texts.py": (
        "acted, outcome unknown",
        "done, and read back",
        "it has waited for too long; nothing was sent to the device",
        "it was cancelled in the cloud before it started",
        "its parameters are secret or too long to be kept, so it cannot be read back",
        "no reason is known",
        "read back: {values}",
        "sent, not proven",
        (
            "the gateway has lost its record of commands, so this one may have been carried out already; nothing is "
            "sent to the device now. Look at the device, and send it again if it is still wanted"
        ),
        "the gateway opens no tunnel into its network: it has no remote access to the pages of devices",
        "the gateway stopped twice while it prepared this command, so it is set aside; nothing was sent",
        "the gateway stopped while it was running",
    ),
    "gateway/field/child_buses.py": (
        "the bus {bus} of {name} does not exist (any more)",
        "this device is not a child of the gateway any more",
    ),
    "gateway/field/children/child_configuration.py": (
        "left out, as configured in the cloud: {metrics}",
        "read as configured in the cloud: {groups}",
    ),
    "gateway/field/declared_commands.py": ("its adapter failed while checking the command, so nothing was sent: {error}",),
    "gateway/field/dispatcher.py": ("{command} is being carried out on {name}, so nothing was sent; try again after it",),
    "gateway/field/polling/bus_jobs.py": (
        "at the address {address} of {name} answers another device, {other} (serial number {serial_number}); nothing was sent",
        "its adapter failed, so nothing was sent: {error}",
        "the bus was lost before it started; nothing was sent",
    ),
    "gateway/field/polling/job_queue.py": ("it was not executed: {why}",),
    "gateway/runtime/device_actions/device_commands.py": (
        "its adapter cannot say which commands it has: {error}",
        "there is no such child (any more)",
        "{name} has no command {command}",
    ),
    "gateway/runtime/timeline/cloud_events.py": (
        "the cloud answers again",
        "the cloud cannot be used",
        "the cloud refuses the hardware key",
        "the gateway cannot be registered",
        "the gateway is not claimed any more",
        "the gateway is registered with the cloud",
        "the gateway was claimed",
        "the registration of the gateway is not valid any more: it registers again",
    ),
}

COMPOSED_BY_ACTIONS = (
    "a number",
    "a number from {low} to {high}",
    "a number of at least {low}",
    "a number of at most {high}",
    "a text",
    "a text of at least {low} characters",
    "a text of at most {high} characters",
    "a text of {low} characters",
    "a text of {low} to {high} characters",
    "a whole number from {low} to {high}",
    "a whole number of at least {low}",
    "a whole number of at most {high}",
    "one of {values}",
    "the digits of a number",
    "the digits of a number from {low} to {high}",
    "the digits of a number of at least {low}",
    "the digits of a number of at most {high}",
    "It has not answered for {minutes} min at {bus}, address {address} ({why}). Check its power supply and its cable.",
    "It has not answered for {minutes} min at {bus}, address {address}. Check its power supply and its cable.",
    "acted, outcome unknown: {why}",
    "an installation of firmware, given here ({by}), begins",
    "an installation of firmware, of the cloud, begins",
    "firmware may be installed",
    "firmware may be installed: {why}",
    "firmware was installed: {why}",
    "the cloud answers again after {time}",
    "the cloud cannot be used, {what}: {why}",
    "the cloud refuses the hardware key: {why}",
    "the gateway cannot be registered: {why}",
    "the gateway is registered with the cloud as {id}",
    "the gateway stopped while it was running, and again while it was finished, so it is set aside",
    "{name}: parameter {parameter} {problem}",
    "{problem}. 1 device on it cannot be read: {names}. {advice}; the gateway keeps trying to open it.",
    "{problem}. 1 device on them cannot be read: {names}. {advice}",
    "{problem}. {advice}; the gateway keeps trying to open it.",
    "{problem}. {number} devices on it cannot be read: {names}. {advice}; the gateway keeps trying to open it.",
    "{problem}. {number} devices on them cannot be read: {names}. {advice}",
    "{text}; read back: {values}",
    "{text}; sent, not proven",
    "{what}, by the token {token}",
    "{what}. Set it: {how}",
)
"""Sentences that are put together of several texts of the source."""
