"""Define the configuration: every section of `gateway.toml` with its keys, their defaults and what they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.adapter import AdapterSettings, Seconds
from gateway.config.mistakes import ENV_PREFIX
from gateway.errors import SettingsProblem
from gateway.host_names import HostName
from gateway.models import Permission, parse_name

DEFAULT_FILE = Path("gateway.toml")


class Policy(StrEnum):
    """Which found devices become children without a person's decision."""

    ALL = "all"
    """All devices for which there is a model id, whether a profile fits or not."""
    MATCHED = "matched"
    """Devices with a profile whose family has a model id."""
    ASK = "ask"
    """None: each waits for a person's decision."""


def _mac(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac):
        raise ValueError("not a MAC address; write it as 02:00:5e:10:00:01")
    return mac


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False  # the port is no number, or the brackets contain no address
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("not the address of a server; write it as https://entry.xyte.io")
    return text.rstrip("/")


def _claim_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and parts.hostname and parts.username is None
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text or len(text) > 200:
        raise ValueError("not the address of a page; write it as https://portal.example.com/claim?sn={serial_number}")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewaySection(_Section):
    """`[gateway]`: the identity of this gateway."""

    name: Annotated[str, AfterValidator(parse_name)] = Field(default="Xyte gateway", description="display name in the cloud")
    serial_number: str | None = Field(
        default=None,
        min_length=1,
        description="serial number, unique within the model; generated and kept at the first start when left out",
    )
    mac: Annotated[str, AfterValidator(_mac)] | None = Field(
        default=None, description="MAC address as 02:00:5e:10:00:01; that of the first network card when left out"
    )
    sub_model: str | None = Field(default=None, description="variant label of the gateway's own model")
    details: dict[str, str | int | float | bool] = Field(default_factory=dict, description="free-form facts shown in the cloud")
    hardware_id: str | None = Field(
        default=None,
        min_length=1,
        description="what names this hardware, where the gateway cannot see it: in a container, the serial number of the host",
    )
    on_other_hardware: Literal["ask", "keep", "new"] = Field(
        default="ask",
        description="what to do when the store comes from another machine, as a cloned SD card does: ask, and keep silent towards"
        " the cloud until a person decides; keep: go on as the same gateway; new: register as another one",
    )
    firmware_hook: Path | None = Field(
        default=None,
        description="the program that installs a new version of the gateway; it gets a file and its version as arguments",
    )
    firmware_hook_timeout: Seconds = Field(
        default=timedelta(minutes=15),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="how long that program may take, in seconds",
    )


class CloudSection(_Section):
    """`[cloud]`: the cloud, and how the gateway authenticates."""

    entry_url: Annotated[str, AfterValidator(_url)] = Field(
        default="https://entry.xyte.io", description="provisioning server, as https://entry.xyte.io"
    )
    claim_url: Annotated[str, AfterValidator(_claim_url)] | None = Field(
        default=None,
        description="the page of your portal where this gateway is claimed, as https://portal.example.com/claim?sn={serial_number}:"
        " the link and the QR code of the status page until it is claimed; left out, the code has the serial number",
    )
    hardware_key: SecretStr | None = Field(
        default=None, description="the model's secret from the Partner Portal, best given as environment variable or file"
    )
    hardware_key_file: Path | None = Field(default=None, description="file that holds nothing but the hardware key")
    authentication: Literal["mac_and_serial", "cloud_id"] = Field(
        default="mac_and_serial", description="how the gateway proves ownership, as the model is set in the Partner Portal"
    )
    partner_code: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]+$", description="short code from the Partner Portal that a Cloud ID begins with"
    )
    hub: Literal["hub_url", "hub_url_static_cert"] = Field(
        default="hub_url", description="which of the two hub addresses in the registration response to use"
    )
    hub_hosts: tuple[str, ...] = Field(
        default=(), description="hosts that are accepted as the hub, as *.endpoints.xyte.io; for private clouds"
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file with certificate authorities to trust in addition to those of the system"
    )
    allow_plain_http: bool = Field(default=False, description="use http without TLS: only for an emulator on this machine")
    timeout_seconds: float = Field(default=10, gt=0, le=120, description="longest wait for one response, in seconds")
    telemetry_every: Seconds = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=5),
        le=timedelta(seconds=120),
        description="telemetry interval in seconds, 5 to 120",
    )
    commands_every: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(0),
        le=timedelta(hours=1),
        description="how often the cloud is asked for commands, in seconds; 0: only when a telemetry response announces one",
    )
    command_expires_after: Seconds = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=10),
        le=timedelta(days=1),
        description="a command that could not start within so many seconds is not carried out any more",
    )
    may: Permission = Field(
        default=Permission.COMMAND,
        description="what the cloud may do here, each including the former: observe, configure, command or firmware; the cloud"
        " cannot change it",
    )
    incidents: bool = Field(
        default=True,
        description="whether incidents are opened in the cloud for lost buses, silent devices and faults of the gateway; with"
        " false the cloud is told to open none by itself for these devices either",
    )
    silent_incident_after: Seconds = Field(
        default=timedelta(minutes=15),
        ge=timedelta(0),
        le=timedelta(days=7),
        description="how long a device has to be silent, in seconds, before an incident is opened for it; 0: never",
    )
    tell_stop: bool = Field(
        default=True,
        description="whether the cloud shows the devices as offline when the gateway stops; the gateway itself always is",
    )
    configuration: Literal["file", "cloud"] = Field(
        default="file",
        description="which side wins where this configuration and that of the cloud have the same key: file (and environment) or"
        " cloud; the cloud cannot change it",
    )
    configuration_watch: Seconds = Field(
        default=timedelta(minutes=3),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="how long buses are watched after a configuration from the cloud has changed them, in seconds; if they get"
        " worse, the former one comes back",
    )
    file_hosts: tuple[str, ...] = Field(
        default=(),
        description="hosts besides the hub from which files such as firmware may be fetched, as *.example.com",
    )
    max_file_mb: int = Field(default=256, ge=1, le=16_384, description="the largest file that is fetched, in MB")
    require_checksum: bool = Field(default=True, description="whether a file without a checksum is refused")
    registrations_per_minute: int = Field(
        default=120,
        ge=1,
        le=10_000,
        description="the most children that are registered in a minute; the others follow",
    )
    deleted_children: Literal["register_again", "leave"] = Field(
        default="register_again",
        description="what to do with a child that was deleted in the cloud: register it again, or leave it deleted",
    )
    children_space: Literal["leave", "follow_gateway"] = Field(
        default="leave",
        description="what to do with a child in another space than the gateway: leave it there, or move it to the gateway",
    )


class ChildSection(_Section):
    """`[child."KEY"]`: what holds for one child alone, by the key that `xyte-gateway children` lists."""

    may: Permission | None = Field(
        default=None,
        description="what the cloud may do with this child, at most what [cloud] and its entry allow: observe, configure, command"
        " or firmware",
    )


class Durability(StrEnum):
    """The samples that a power cut may cost."""

    FULL = "full"
    """Nothing: a sample is on the disk before it counts as stored."""
    NORMAL = "normal"
    """The samples of the last seconds. Identity, keys, registrations, commands and all else are on the disk at once."""


class StoreSection(_Section):
    """`[store]`: the file that holds what survives a restart."""

    path: Path = Field(
        default=Path("/var/lib/xyte-gateway/gateway.sqlite3"), description="the file that holds keys, children and outbox"
    )
    durability: Durability = Field(
        default=Durability.FULL,
        description="full: a power cut costs no stored sample; normal: it may cost those of the last seconds, for fewer writes",
    )
    most_samples: int = Field(
        default=10_000_000, ge=1_000, description="how many samples may wait for the cloud before older ones are thinned out"
    )
    most_mb: int = Field(
        default=1024, ge=8, le=1_048_576, description="how many MB the samples that wait may take up in the file, about"
    )
    keep_days: int = Field(default=90, ge=1, le=3_650, description="how many days a sample may wait before it is dropped")
    min_free_mb: int = Field(
        default=256,
        ge=0,
        le=1_048_576,
        description="how many MB stay free on its disk, at most a tenth of it: waiting samples are thinned out before",
    )
    history_mb: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="how many MB the file beside it may have that keeps what was observed over a restart: last values, changes,"
        " events, history of values; 0: nothing is kept",
    )
    write_budget_tb: float = Field(
        default=10.0,
        gt=0,
        le=1_000_000,
        description="how many TB may be written to its disk in all, as the maker of the card or disk says: for the years that are"
        " left, nothing else",
    )


class AdmissionSection(_Section):
    """`[admission]`: which found devices become children."""

    policy: Policy = Field(default=Policy.MATCHED, description="all, matched (a profile fits and its family has a model) or ask")
    most_children: int = Field(
        default=5000, ge=1, le=1_000_000, description="how many children there can be; no further device becomes one"
    )
    most_found_devices: int = Field(
        default=2000,
        ge=10,
        le=100_000,
        description="how many found devices are kept that are no children; those not found for longest are forgotten first",
    )


def _page_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError("not an address; write it as https://example.com/hook")
    return text


class StatusSection(_Section):
    """`[status]`: the status page, and when the gateway counts as ready."""

    enabled: bool = Field(default=True, description="whether there is a status page at all")
    host: HostName = Field(
        default="127.0.0.1",
        min_length=1,
        description="the address that the page listens on; 0.0.0.0 is every network interface, and always needs the token",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="the port that the page listens on; 0 for any free port")
    hub_gone_limit: Seconds = Field(
        default=timedelta(minutes=15),
        ge=timedelta(seconds=1),
        description="after the cloud was unreachable for so long, in seconds, /readyz and the container health check report it",
    )
    certificate: Path | None = Field(
        default=None,
        description='a PEM file, to serve the page by https, read anew when renewed; or "self-signed": the gateway makes one',
    )
    key: Path | None = Field(default=None, description="the PEM file with the private key, if not in the same file")
    update_check: Annotated[str, AfterValidator(_page_url)] | None = Field(
        default=None,
        description="an address that is asked once a day which versions there are, as JSON of a release page or a registry;"
        " without it nobody is asked, and only the cloud tells of newer ones",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="addresses or networks of reverse proxies in front of the page, whose X-Forwarded-For names the visitor",
    )


def _webhook(secret: SecretStr) -> SecretStr:
    _page_url(secret.get_secret_value())
    return secret


def _email(text: str) -> str:
    if not re.fullmatch(r"[!-~]+@[!-~]+", text) or text.count("@") > 1 or re.search(r"[,;<>()\\\[\]\"]", text):
        raise ValueError("not an e-mail address; write it as operator@example.com")
    return text


_EmailAddress = Annotated[str, AfterValidator(_email)]


class NotifySection(_Section):
    """`[notify]`: who is told when an incident opens and closes, besides the cloud."""

    webhook: Annotated[SecretStr, AfterValidator(_webhook)] | None = Field(
        default=None, description="address to which incidents are posted as JSON; kept secret, as many hold a key"
    )
    webhook_token: SecretStr | None = Field(default=None, description="sent to the webhook as Authorization: Bearer")
    webhook_token_file: Path | None = Field(default=None, description="file that holds nothing but that token")
    email_to: tuple[_EmailAddress, ...] = Field(default=(), description="e-mail addresses that get a message")
    email_from: _EmailAddress | None = Field(default=None, description="sender of the e-mails; the first of email_to if left out")
    smtp_host: HostName | None = Field(default=None, min_length=1, description="the mail server that takes the e-mails")
    smtp_port: int | None = Field(
        default=None, ge=1, le=65535, description="its port; 587 for starttls, 465 for tls, 25 for none if left out"
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls from the beginning, or none: only for a server in the own network"
    )
    smtp_user: str | None = Field(default=None, min_length=1, description="name to sign in with at the mail server")
    smtp_password: SecretStr | None = Field(default=None, description="password for that")
    smtp_password_file: Path | None = Field(default=None, description="file that holds nothing but that password")
    priority: Literal["critical", "high", "moderate", "low", "planning"] = Field(
        default="moderate", description="the lowest priority that is told: critical, high, moderate, low or planning"
    )
    after: Seconds = Field(
        default=timedelta(minutes=1),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="how long an incident has to be open, in seconds, before it is told; a shorter one is not told at all",
    )
    page_url: Annotated[str, AfterValidator(_page_url)] | None = Field(
        default=None, description="address of the status page for the link in a message, as https://gateway.example:8080"
    )


class LogSection(_Section):
    """`[log]`: what is logged, and in which format."""

    format: Literal["text", "json"] = Field(
        default="text", description="text: sentences for people; json: one JSON object per line"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the lowest level that is logged")


class FileAndEnvironment(BaseSettings):
    """Settings from environment variables and, below them, the tables of the file."""

    variables: ClassVar[type[EnvSettingsSource]] = EnvSettingsSource
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment outrank the file, whose content is passed as init arguments."""
        return cls.variables(settings_cls), init_settings


class Settings(FileAndEnvironment):
    """The whole configuration except the adapters' own keys."""

    gateway: GatewaySection = Field(default=GatewaySection(), description="identity of this gateway, as a table [gateway]")
    cloud: CloudSection = Field(
        default=CloudSection(), description="which cloud, and how the gateway authenticates, as a table [cloud]"
    )
    store: StoreSection = Field(
        default=StoreSection(), description="the file that holds what survives a restart, as a table [store]"
    )
    admission: AdmissionSection = Field(
        default=AdmissionSection(), description="which found devices become children, as a table [admission]"
    )
    status: StatusSection = Field(
        default=StatusSection(), description="the status page, and when the gateway counts as ready, as a table [status]"
    )
    notify: NotifySection = Field(
        default=NotifySection(), description="who is told about incidents by webhook and e-mail, as a table [notify]"
    )
    log: LogSection = Field(default=LogSection(), description="what is logged, and in which format, as a table [log]")
    models: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description='device family = "Xyte model id"; the key "*" serves all other families'
    )
    child: dict[str, ChildSection] = Field(
        default_factory=dict, description='what holds for one child alone, as a table [child."KEY"]'
    )
    adapter: tuple[dict[str, Any], ...] = Field(
        default=(), description="one [[adapter]] table, with two brackets, for each kind of bus"
    )


@dataclass(frozen=True, slots=True)
class Configuration:
    """The checked configuration: the settings and an entry for each adapter."""

    file: Path | None
    settings: Settings
    entries: tuple[AdapterSettings, ...]
    """One for each `[[adapter]]` table, of the settings class of its adapter; names are unique."""
    warnings: tuple[SettingsProblem, ...] = ()
    """What works and is probably not meant."""
