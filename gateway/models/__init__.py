"""Define the data types that all parts of the gateway share: frozen, and complete when they are made. Pure.

Import them from here; the files beside this one hold them by subject.
"""

from gateway.models.bus_facts import BusFact, FactSource
from gateway.models.children import NAME_LENGTH, ChildDevice, PlannedRead, Reach, parse_name
from gateway.models.commands import Checkpoint, Command, CommandResult, CommandSpec, KnownCommand, NoParameters
from gateway.models.configuration import PlannedChange
from gateway.models.device_settings import SettingValue, WrittenSetting
from gateway.models.discovery import Confidence, Found, Identity, IdentityKind, Progress, SearchSummary
from gateway.models.findings import Finding, FindingState
from gateway.models.firmware import UPDATE_FIRMWARE, FirmwareFile, FirmwareParameters, FirmwareProgress
from gateway.models.licences import Licence, LicenceChange
from gateway.models.metrics import (
    MOST_DECIMALS,
    MOST_TITLE_CHARACTERS,
    RESERVED_METRICS,
    Block,
    Metric,
    MetricRow,
    Reading,
    Reduce,
    Value,
)
from gateway.models.networks import Announcement, NamedNetworks, NetworkHost
from gateway.models.permissions import Permission
from gateway.models.telemetry import Sample, Status

__all__ = [
    "MOST_DECIMALS",
    "MOST_TITLE_CHARACTERS",
    "NAME_LENGTH",
    "RESERVED_METRICS",
    "UPDATE_FIRMWARE",
    "Announcement",
    "Block",
    "BusFact",
    "Checkpoint",
    "ChildDevice",
    "Command",
    "CommandResult",
    "CommandSpec",
    "Confidence",
    "FactSource",
    "Finding",
    "FindingState",
    "FirmwareFile",
    "FirmwareParameters",
    "FirmwareProgress",
    "Found",
    "Identity",
    "IdentityKind",
    "KnownCommand",
    "Licence",
    "LicenceChange",
    "Metric",
    "MetricRow",
    "NamedNetworks",
    "NetworkHost",
    "NoParameters",
    "Permission",
    "PlannedChange",
    "PlannedRead",
    "Progress",
    "Reach",
    "Reading",
    "Reduce",
    "Sample",
    "SearchSummary",
    "SettingValue",
    "Status",
    "Value",
    "WrittenSetting",
    "parse_name",
]
