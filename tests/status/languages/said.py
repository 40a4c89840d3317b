"""List the sentences that the rest of the gateway says on the page, as data: each stands in the file that is named before it.

What changes in a sentence stands in braces. `extraction.py` takes them into the catalogues, and a test compares them with the
source. A placeholder called `why`, `reason`, `problem`, `error`, `what` or `how` stands for another such sentence.
"""

from __future__ import annotations

from said_by_actions import BY_ACTIONS, COMPOSED_BY_ACTIONS
from said_by_adapters import BY_ADAPTERS, COMPOSED_BY_ADAPTERS
from said_by_configuration import COMPOSED_BY_CONFIGURATION, CONFIGURATION
from said_by_doctor import COMPOSED_BY_DOCTOR, DOCTOR
from said_by_setup import COMPOSED_BY_SETUP, SETUP

SAID: dict[str, tuple[str, ...]] = {
    **BY_ACTIONS,
    **BY_ADAPTERS,
    **CONFIGURATION,
    **DOCTOR,
    **SETUP,
    "adapters/modbus/client/link.py": ("no answer within {limit}",),
    "adapters/modbus/client/open_errors.py": (
        "it cannot be reached: is it switched on and on this network?",
        "it cannot be reached: this machine has no route to that network",
        "it is in use by another program",
        "it is not a serial port",
        "it refuses the connection: is Modbus TCP switched on there, and is it the right port?",
        "its adapter is gone: is it plugged in? `ls /dev/serial/by-id` lists the ports",
        "permission denied: add the user to the group that owns it, usually dialout",
        "there is no hardware behind it: is the adapter plugged in? `ls /dev/serial/by-id` lists the ports",
        "there is no such serial port: is the adapter plugged in? `ls /dev/serial/by-id` lists the ports",
    ),
    "adapters/modbus/client/pdu.py": (
        "acknowledge",
        "memory parity error",
        "negative acknowledge",
        "device busy",
        "device failure",
        "gateway path unavailable",
        "gateway target did not respond",
        "illegal data address",
        "illegal data value",
        "illegal function",
    ),
    "adapters/modbus/client/rtu_frames.py": (
        "the answer belongs to another request",
        "the answer is damaged or cut short: {size} bytes with a wrong checksum",
        "unit {other} answered for unit {unit}",
    ),
    "gateway/cloud/enrolment.py": (
        "Copy the hardware key again from the gateway's model in the Partner Portal, and enter it on the gateway's page.",
        "Delete this gateway in the portal, or press Replace Device there. Then try again.",
        "{error}: check cloud.hardware_key against the model in the Partner Portal",
        "{error}; it is retried automatically",
    ),
    "gateway/cloud/hub_reasons.py": (
        (
            "Check the clock of this machine. Where the network inspects TLS, name the certificate of its authority "
            "in `ca_file` of [cloud]."
        ),
        "Check the internet connection and the name servers of this machine; `xyte-gateway doctor` asks each of them.",
    ),
    "gateway/cloud/session.py": ("the cloud wants no calls for another {time}, so none was made",),
    "gateway/command_parameters.py": (
        "a whole number",
        "cannot be used",
        "has to be a finite number",
        "has to be {expected}",
        "has to be {expected}, not {value}",
        "is missing",
        "is missing: {expected}",
        "is no parameter of this command",
        "true or false",
    ),
    "gateway/field/adapter_data/refusals.py": (
        "changed type of value",
        "implausible time",
        "readings of an unknown device",
        "too much data",
        "unprintable text",
        "unusable device",
        "unusable metric",
        "unusable value",
        "wrong result",
    ),
    "gateway/field/children/admission.py": (
        "ignored by an operator; to admit it after all: xyte-gateway children admit {key}",
        "no Xyte model for it; add to [models]: {family} = <model id from the Partner Portal>",
        "no profile fits; write one, name one in the adapter's settings, or set [admission] policy to all",
        "waits for an operator: xyte-gateway children admit {key}",
    ),
    "gateway/field/children/silence.py": (
        "not heard for {time}",
        "{silence}; it used to send at least every {interval}",
    ),
    "gateway/field/polling/bus_health.py": ("its adapter failed: {error}",),
    "gateway/field/polling/bus_retry.py": (
        "it is not served any more",
        "it is still being opened",
    ),
    "gateway/field/polling/child_poller.py": (
        "another device answers at its address {address}: {name} ({key})",
        "the device at {address} answers without the identity of {name}",
    ),
    "gateway/field/polling/supervisor.py": (
        "it sends by itself, and cannot be asked; it counts as there as soon as it is heard",
        "it could not be opened within {limit} s",
        "it is not on this bus any more",
        "its bus {bus} does not work: {why}",
    ),
    "gateway/field/telemetry/listening.py": (
        "Check that a device is on and near. If one is, unplug the radio of this machine for some seconds.",
        "nothing was heard for {limit} s: its radio hangs, or no device is in range",
    ),
    "gateway/runtime/background_jobs.py": ("its bus {bus} of [[adapter]] {entry} is missing",),
    "gateway/runtime/device_actions/child_life.py": (
        "is to be replaced by {name} ({successor})",
        "is to be retired",
        "it cannot be stored: {error}",
        "{name} is not admitted: {why}",
    ),
    "gateway/runtime/device_actions/local_commands.py": (
        "the gateway",
        "the gateway starts or stops right now, so nothing was sent; try again in a moment",
    ),
    "gateway/runtime/device_actions/looks.py": (
        "there is no such device (any more)",
        "this device is not known to the gateway any more",
        "was asked who it is",
        "was asked who it is, and read once",
        "it is asked who it is",
        "it took longer than {limit} s, so it was given up",
        "it waits for its bus",
        "its bus {bus} does not exist (any more)",
        "its bus {bus} is not open: {problem}",
        "its values are read",
        "the device is being looked at already",
        "the gateway starts or stops right now; try again in a moment",
        "{number} values are read",
    ),
    "gateway/runtime/incidents/field_causes.py": (
        "Check its cable and its power supply, and the entry {entry} of the configuration",
        (
            "The bus is open, but these devices do not answer: {names}. Check the cable between the gateway and the "
            "devices, its termination, and their power supply; then the settings of the entry {entry}, such as the "
            "speed."
        ),
        "The bus {bus} does not work",
        "{name} does not answer",
    ),
    "gateway/runtime/incidents/own_causes.py": (
        (
            "Check the connection to the cloud and the disk; `[store] most_mb`, `most_samples`, `keep_days` and "
            "`min_free_mb` set how much is kept during an outage."
        ),
        "Samples of devices will never arrive: {losses}. {advice}",
        "The log of the gateway names the devices, and what the hub says.",
        "The store did not take them: free space on its disk, or replace the disk; `xyte-gateway doctor` checks it.",
        (
            "The store fails: {problem}. Readings are kept in memory only, and nothing of them reaches the cloud "
            "until it works again. Free space on its disk, or replace the disk; `xyte-gateway doctor` on the gateway "
            "shows what is wrong with it."
        ),
        "`xyte-gateway losses` names the devices.",
        (
            "{text}. Find out what removed or damaged the file; `xyte-gateway doctor` on the gateway checks its disk. "
            "`xyte-gateway backup` makes a copy that a new disk can begin with."
        ),
        "Samples were lost",
        "The clock of the gateway is wrong",
        "The gateway cannot store anything",
        "The store of the gateway was lost or damaged",
    ),
    "gateway/runtime/maintenance.py": (
        "a backup was made for a download",
        "a restart was asked for on the page or by its API",
    ),
    "gateway/runtime/retries.py": (
        "it was tried a moment ago; try again in {time}",
        "the cloud answers",
        "there is no outcome within {limit} s; the attempt goes on",
        "there is no such child any more",
        "{bus} has not appeared since the start, so there is nothing to open",
        "{bus} is open",
        "{bus} is open now, and its devices are asked",
        "{name} answers, and is read now",
        "{name} is registered again now; its page shows what the cloud says",
    ),
    "gateway/runtime/summaries/buses.py": (
        "it has not appeared since the start: is it plugged in, and named in the configuration?",
    ),
    "gateway/runtime/summaries/children.py": (
        "It has not answered for {days} days. If it is gone for good: xyte-gateway children retire {key}",
        "a constant in the device that no other device here has",
        "its bus and address, because nothing in the device distinguishes it from an identical one",
        "its bus works again; it is asked in its turn",
        "serial number",
    ),
    "gateway/runtime/summaries/found_devices.py": ("a person has decided that it is to be ignored",),
    "gateway/runtime/timeline/devices.py": (
        "is a child of this gateway now, {place}",
        "is ignored from now on",
        "is no child of this gateway any more",
        "is not ignored any more",
        "was called {name} before",
        "was found {place}. It is no child: {why}",
    ),
    "gateway/runtime/timeline/field_events.py": (
        "answers again",
        "does not answer: {why}",
        "is in service again{after}: {children}",
    ),
    "gateway/runtime/view.py": (
        "nothing is to be decided (any more)",
        "there is no bus {bus} (any more)",
        "{bus} is not open: {problem}",
    ),
    "gateway/state/child_states.py": (
        "deleted",
        "held",
        "refused",
        "registered",
        "registering",
        "unmoved",
    ),
    "gateway/state/history/runs.py": (
        "it was killed, or failed",
        "the gateway had ended without a stop: {how}. It last saved at {time} UTC",
        "the power went, or the machine was started anew",
    ),
    "gateway/status/auth/access_control.py": (
        "somebody at {address} has signed in to the status page with the token {token}, which may {right}",
    ),
}

COMPOSED = (
    *COMPOSED_BY_ACTIONS,
    *COMPOSED_BY_ADAPTERS,
    *COMPOSED_BY_CONFIGURATION,
    *COMPOSED_BY_DOCTOR,
    *COMPOSED_BY_SETUP,
    "{what}: {number} children",
    "{what}: 1 child",
)
"""Sentences that are put together of several: the phrase of a cause, and how many children it concerns."""
