"""Define the causes of outages: each with what it is called, and the next step of whoever looks after the gateway. Pure.

A cause is the same whatever protocol a device speaks, so that outages can be counted, compared and put together by it. What was
seen, such as a text of the operating system, is the evidence for it and stands in `Reason.text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Cause(StrEnum):
    """Why a device, a bus or the cloud does not work."""

    # ports and hosts
    NO_PORT = "no_port"
    """The adapter, port or radio is not there."""
    NO_PERMISSION = "no_permission"
    PORT_IN_USE = "port_in_use"
    """Another program, or another part of this one, has the port open."""
    NAME_UNKNOWN = "name_unknown"
    """No name server knows the name of the host."""
    HOST_UNREACHABLE = "host_unreachable"
    HOST_REFUSES = "host_refuses"
    HOST_CLOSES = "host_closes"
    """It accepts each connection and closes it before it has answered."""
    HOST_FULL = "host_full"
    """It says that all of its connections are in use."""
    TLS = "tls"
    LOGIN_REFUSED = "login_refused"

    # on the line
    SILENT_BUS = "silent_bus"
    """The port opens, and nothing on it answers."""
    NO_ANSWER = "no_answer"
    """One device does not answer."""
    CHECKSUM_ERRORS = "checksum_errors"
    WRONG_ANSWER = "wrong_answer"
    """What it answers cannot be used, and its checksum is right or there is none."""
    SAME_ADDRESS = "same_address"
    """Two devices answer at one address."""
    OTHER_DEVICE = "other_device"
    """Another device than the expected one answers at the address."""
    DEVICE_REFUSES = "device_refuses"
    """It answers, and refuses what it was asked."""
    OVERLOADED = "overloaded"
    """The bus is not read, since it has more to do than fits, and the settings say so."""

    # radio
    BLUETOOTH_DOWN = "bluetooth_down"
    """The Bluetooth service of the machine does not run."""
    BLUETOOTH_OFF = "bluetooth_off"
    """The Bluetooth adapter is off or blocked."""
    OUT_OF_RANGE = "out_of_range"
    """It is not heard any more."""
    BATTERY_EMPTY = "battery_empty"

    # the gateway itself
    ADAPTER_BUG = "adapter_bug"
    CLOCK_WRONG = "clock_wrong"

    # the cloud
    HUB_UNREACHABLE = "hub_unreachable"
    HUB_BUSY = "hub_busy"
    PROXY = "proxy"
    """Something between the gateway and the cloud answers in its place."""
    KEY_REFUSED = "key_refused"
    """The cloud does not accept the key of the gateway."""
    REFUSED_BY_CLOUD = "refused_by_cloud"
    DELETED_IN_CLOUD = "deleted_in_cloud"
    NOT_REGISTERED = "not_registered"
    HELD = "held"
    """A person has to say whether it replaces another device."""

    UNKNOWN = "unknown"

    @property
    def phrase(self) -> str:
        """What is the matter, to follow a name and a colon: `refuses the connection`."""
        return _WORDS[self][0]

    @property
    def next_step(self) -> str:
        """What to do, in one or two sentences, where nothing more is known."""
        return _WORDS[self][1]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not work: the cause, and what was seen of it."""

    text: str
    """What was seen, in words, on one line: the evidence."""
    cause: Cause = Cause.UNKNOWN
    special_step: str | None = None
    """What to do in this very case; `None` where the general step of the cause says it."""

    @property
    def next_step(self) -> str:
        """What to do next."""
        return self.special_step or self.cause.next_step

    @property
    def phrase(self) -> str:
        """What is the matter, to follow a name and a colon; what was seen, where the cause is not known."""
        return self.text if self.cause is Cause.UNKNOWN else self.cause.phrase

    def __str__(self) -> str:
        """Return what was seen."""
        return self.text


_WORDS: Final[Mapping[Cause, tuple[str, str]]] = MappingProxyType(
    {
        Cause.NO_PORT: (
            "its adapter or port is not there",
            (
                "Check that it is plugged in and powered. In a container, hand the device through (`devices:` in "
                "compose.yaml), and compare the port in the configuration with what `xyte-gateway doctor` lists."
            ),
        ),
        Cause.NO_PERMISSION: (
            "the gateway may not open it",
            (
                "Give the user of the gateway the right to it: its group on the machine (`dialout` for serial ports), or "
                "`group_add: [dialout]` and `devices:` in compose.yaml. Then restart the gateway."
            ),
        ),
        Cause.PORT_IN_USE: (
            "another program has its port open",
            ("End the other program, or leave this port out of the configuration. `xyte-gateway doctor` names the program."),
        ),
        Cause.NAME_UNKNOWN: (
            "its name is not known",
            (
                "Check how the name is written, and the name servers of this machine. A fixed IP address in its place "
                "works without."
            ),
        ),
        Cause.HOST_UNREACHABLE: (
            "cannot be reached",
            "Check its power, its network cable, and its address. `ping` from this machine shows whether it is there.",
        ),
        Cause.HOST_REFUSES: (
            "refuses the connection",
            (
                "The machine is there, but nothing takes connections at this port. Check the port, and that its service is "
                "switched on and admits the address of this gateway."
            ),
        ),
        Cause.HOST_CLOSES: (
            "closes each connection",
            (
                "Its connections may all be in use: end other programs that talk to it, or restart it. Check whether it "
                "admits only certain addresses."
            ),
        ),
        Cause.HOST_FULL: (
            "has no connection left",
            (
                "End other programs that talk to it, or raise its limit of connections. A restart of the device frees "
                "those that nobody uses."
            ),
        ),
        Cause.TLS: (
            "cannot be trusted: TLS fails",
            (
                "Check its certificate, the certificates in the configuration, and the clock of this machine. "
                "`xyte-gateway doctor` checks each of them."
            ),
        ),
        Cause.LOGIN_REFUSED: (
            "refuses the login",
            "Check the user name, the password or the key in the configuration against the device.",
        ),
        Cause.SILENT_BUS: (
            "is open, but nothing on it answers",
            (
                "Check the cable to the devices, its wires A and B, its termination, and the power of the devices; then "
                "speed, parity and stop bits in the configuration."
            ),
        ),
        Cause.NO_ANSWER: (
            "no answer",
            "Check its power and its cable, and whether its address was changed.",
        ),
        Cause.CHECKSUM_ERRORS: (
            "answers with wrong checksums",
            (
                "Compare speed, parity and stop bits with the device. Check the termination at both ends, the shield, and "
                "whether two devices have one address."
            ),
        ),
        Cause.WRONG_ANSWER: (
            "its answers cannot be used",
            "Check that the profile and the address are those of this device. Its page has the last errors.",
        ),
        Cause.SAME_ADDRESS: (
            "two devices answer at one address",
            "Disconnect one of both, and give it another address.",
        ),
        Cause.OTHER_DEVICE: (
            "another device answers at its address",
            "Check the addresses on this bus. If the device was exchanged, say so: `xyte-gateway children replace`.",
        ),
        Cause.DEVICE_REFUSES: (
            "refuses what it is asked",
            "Check that the profile is that of this model and firmware, and that the device admits this gateway.",
        ),
        Cause.OVERLOADED: (
            "has more to do than fits",
            (
                "Lengthen the intervals, leave metrics out, or divide the devices among several buses. The page of the bus "
                "lists the devices that take most."
            ),
        ),
        Cause.BLUETOOTH_DOWN: (
            "the Bluetooth service does not run",
            "Start it: `systemctl start bluetooth`. In a container, hand /run/dbus through.",
        ),
        Cause.BLUETOOTH_OFF: (
            "the Bluetooth adapter is off",
            "Switch it on: `rfkill unblock bluetooth`, then `bluetoothctl power on`.",
        ),
        Cause.OUT_OF_RANGE: (
            "is not heard any more",
            "Check its power and its battery, and bring it nearer to the gateway.",
        ),
        Cause.BATTERY_EMPTY: (
            "its battery was nearly empty",
            "Change its battery.",
        ),
        Cause.ADAPTER_BUG: (
            "its adapter failed",
            "Tell the author of the adapter, with the text of the log. The gateway tries again by itself.",
        ),
        Cause.CLOCK_WRONG: (
            "the clock is wrong",
            "Set the clock: `timedatectl set-ntp true`. A machine without a battery for its clock needs a time server.",
        ),
        Cause.HUB_UNREACHABLE: (
            "the cloud cannot be reached",
            (
                "Check the internet connection of this machine and its firewall. Everything is kept meanwhile; "
                "`xyte-gateway doctor` tests each step of the way."
            ),
        ),
        Cause.HUB_BUSY: (
            "the cloud wants fewer calls",
            "Nothing needs to be done: the gateway waits for as long as the cloud says, and keeps everything.",
        ),
        Cause.PROXY: (
            "something else answers in place of the cloud",
            ("Check the proxy or firewall of this network: it has to let HTTPS to the addresses of the cloud through unchanged."),
        ),
        Cause.KEY_REFUSED: (
            "the cloud does not accept its key",
            (
                "Check in the portal whether the gateway is still there. The gateway asks again, and registers again when "
                "it was deleted."
            ),
        ),
        Cause.REFUSED_BY_CLOUD: (
            "the cloud refuses to register it",
            "Check the model id in the configuration against the Partner Portal.",
        ),
        Cause.DELETED_IN_CLOUD: (
            "was deleted in the cloud",
            (
                'If it is to come back, set `deleted_children = "register_again"` in [cloud]. If it is gone for good, '
                "retire it: `xyte-gateway children retire`."
            ),
        ),
        Cause.NOT_REGISTERED: (
            "is not registered with the cloud yet",
            "Nothing needs to be done if the cloud can be reached: it is registered in its turn.",
        ),
        Cause.HELD: (
            "waits for a decision",
            "Say whether it replaces the device that had its place: `xyte-gateway children replace`.",
        ),
        Cause.UNKNOWN: (
            "does not work",
            "`xyte-gateway doctor` checks what can be checked from this machine.",
        ),
    }
)
"""The phrase and the general next step of each cause."""
