"""Check the settings against each other and against this machine, after each key has been checked by itself."""

from __future__ import annotations

import re
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config.mistakes import key_and_line
from gateway.config.settings import NotifySection, Settings
from gateway.errors import SettingsProblem

PLACEHOLDER = re.compile(r"<.*>")
STILL_A_PLACEHOLDER = "still contains the placeholder"


def store_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield why the store cannot be where the settings have it."""
    path = settings.store.path
    where, line = key_and_line(("store", "path"), text)
    existing = next(folder for folder in path.absolute().parents if _mode_of(folder))
    if stat.S_ISDIR(_mode_of(path)):
        yield SettingsProblem(where, f"{path} is a folder", "Name a file in it, such as gateway.sqlite3", line)
    elif existing.is_relative_to("/proc") or existing.is_relative_to("/sys"):
        wrong = f"{existing} belongs to the kernel, and keeps no files"
        yield SettingsProblem(where, wrong, "Name a file in a folder that the gateway may write to", line)
    elif not stat.S_ISDIR(_mode_of(existing)):
        yield SettingsProblem(
            where, f"{existing} is a file, no folder", "Name a file in a folder that the gateway may write to", line
        )


def page_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield why the page cannot be served as the settings have it."""
    status = settings.status
    if status.key is not None and status.certificate is None:
        where, line = key_and_line(("status", "key"), text)
        yield SettingsProblem(where, "there is a key without a certificate", "Add `certificate`, or leave the key out", line)


def notify_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield why nobody can be told about incidents as the settings have it."""
    notify = settings.notify

    def problem(key: str, wrong: str, right: str) -> SettingsProblem:
        where, line = key_and_line(("notify", key), text)
        return SettingsProblem(where, wrong, right, line)

    yield from _secret_file_problems(notify, problem)
    yield from _mail_problems(notify, text, problem)
    token = "webhook_token" if notify.webhook_token is not None else "webhook_token_file"
    if notify.webhook is None and getattr(notify, token) is not None:
        yield problem(token, "there is a token without a webhook", "Add `webhook`, or leave the token out")


def _secret_file_problems(
    notify: NotifySection, problem: Callable[[str, str, str], SettingsProblem]
) -> Iterator[SettingsProblem]:
    for name in ("webhook_token", "smtp_password"):
        file = getattr(notify, f"{name}_file")
        if file is not None and getattr(notify, name) is not None:
            yield problem(f"{name}_file", f"there is a {name} as well", "Keep one of the two")
        elif file is not None and (wrong := _unreadable(file)):
            yield problem(f"{name}_file", wrong, "Mount the secret there, as a file that the gateway may read")


def _mail_problems(
    notify: NotifySection, text: str, problem: Callable[[str, str, str], SettingsProblem]
) -> Iterator[SettingsProblem]:
    if notify.email_to and notify.smtp_host is None:
        yield problem("email_to", "there is no mail server", "Add `smtp_host`, the server that takes the e-mails")
    if notify.smtp_host is not None and not notify.email_to:
        _, line = key_and_line(("notify", "smtp_host"), text)
        wrong = "is missing, so nobody gets the e-mails"
        yield SettingsProblem("notify.email_to", wrong, "Add `email_to`, a list of addresses", line)
    password = "smtp_password" if notify.smtp_password is not None else "smtp_password_file"
    has_password = getattr(notify, password) is not None
    if has_password and notify.smtp_user is None:
        yield problem(password, "there is a password without a name", "Add `smtp_user`")
    if notify.smtp_user is not None and not has_password:
        yield problem("smtp_user", "there is a name without a password", "Add `smtp_password_file`")
    if has_password and notify.smtp_security == "none":
        yield problem("smtp_security", "sends the password in clear text", 'Use "starttls" or "tls"')


def _unreadable(file: Path) -> str | None:
    """Return why a file with a secret cannot be read; `None` when it can."""
    try:
        with file.open(encoding="utf-8") as opened:
            return None if opened.read(4096).strip() else f"{file} is empty"
    except UnicodeDecodeError:
        return f"{file} holds no text"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"


def _mode_of(path: Path) -> int:
    """Return the mode of a file; 0 if it is missing or may not be accessed, which the store reports when it is opened."""
    with suppress(OSError):
        return path.stat().st_mode
    return 0


def cloud_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield why the cloud cannot be reached under these settings."""
    cloud = settings.cloud
    if cloud.authentication == "cloud_id" and cloud.partner_code is None:
        right = "Add partner_code, the short code from the Partner Portal (Settings, Provision)"
        _, line = key_and_line(("cloud", "authentication"), text)
        yield SettingsProblem("cloud.partner_code", "is missing, but a Cloud ID begins with it", right, line)
    if urlsplit(cloud.entry_url).scheme == "http" and not cloud.allow_plain_http:
        where, line = key_and_line(("cloud", "entry_url"), text)
        right = "Use https://, or set allow_plain_http = true if this is an emulator"
        yield SettingsProblem(where, "sends keys in clear text", right, line)
    if cloud.ca_file is not None and (wrong := _ca_file_problem(cloud.ca_file)):
        where, line = key_and_line(("cloud", "ca_file"), text)
        yield SettingsProblem(where, wrong, "Name a PEM file that holds the certificate of the authority", line)


def placeholder_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    """Yield the model ids that are still the placeholders of a proposed configuration."""
    for family, model_id in settings.models.items():
        if PLACEHOLDER.fullmatch(model_id.strip()):
            where, line = key_and_line(("models", family), text)
            yield SettingsProblem(where, STILL_A_PLACEHOLDER, "Enter the id of the Xyte model: Partner Portal, Model, Info", line)


def _ca_file_problem(file: Path) -> str | None:
    """Return why this file gives no certificate to trust; `None` when it gives one."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return f"{file} holds no certificate"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    return None
