"""`xyte-gateway health`: ask the gateway on this machine whether it is ready, for the health check of a container."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from pathlib import Path

import typer
from pydantic import ValidationError

from gateway.cli.common import EXIT_FAILED, AsJson, ConfigFile, err, out, print_json
from gateway.config.file import file_exists
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE, StatusSection
from gateway.status.health import Readiness
from gateway.status.hosts import local_host_for
from gateway.status.who_answers import LOOPBACK, Answer, Answerer, who_answers

RESPONSE_SECONDS = 5.0
MAX_RESPONSE_BYTES = 64 * 1024
"""Another program may listen there and send anything."""


def health(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Ask the gateway on this machine whether it is ready. Exit code 0 if it is, else 1, with the reasons as text."""
    settings = salvage(config)
    store = settings.store.path if file_exists(config) else None  # unconfigured, as in the container of the demo: any gateway
    is_ready, reasons = _ask(settings.status, store) if settings.status.enabled else (False, [PAGE_DISABLED])
    if as_json:
        print_json({"is_ready": is_ready, "reasons": reasons})
    elif is_ready:
        out.print("the gateway is ready")
    else:
        for reason in reasons:
            err.print(reason, markup=False)
    if not is_ready:
        raise typer.Exit(EXIT_FAILED)


PAGE_DISABLED = "the status page is disabled by [status] enabled, so the gateway cannot be asked"
NO_REASONS = "the gateway is not ready; its page and its log give the reasons"


def _ask(section: StatusSection, store: Path | None) -> tuple[bool, list[str]]:
    """Ask who answers and then `/readyz`, and return whether the gateway is ready and why not."""
    host = local_host_for(section.host)
    is_tls = section.certificate is not None
    if store is not None:
        answer = asyncio.run(who_answers(host, section.port, store, is_tls=is_tls))
        if answer.who is Answerer.OTHER_GATEWAY:
            return False, [_other_gateway(answer, section, host, store)]
        if answer.is_without_tls:
            host, is_tls = LOOPBACK, False
    connection = (
        http.client.HTTPConnection(host, section.port, timeout=RESPONSE_SECONDS)
        if not is_tls
        else http.client.HTTPSConnection(host, section.port, timeout=RESPONSE_SECONDS, context=_any_certificate())
    )
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        readiness = Readiness.model_validate_json(response.read(MAX_RESPONSE_BYTES))
    except ValidationError:
        return False, [f"the program at {host} port {section.port} is not a gateway: HTTP status {response.status}"]
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, [f"no answer from the gateway at {host} port {section.port}: {error}"]
    finally:
        connection.close()
    return readiness.is_ready, [] if readiness.is_ready else list(readiness.reasons or [NO_REASONS])


def _other_gateway(answer: Answer, section: StatusSection, host: str, store: Path) -> str:
    """Tell which gateway answers in the place of that of this store."""
    where = f"{answer}, answers at {host} port {section.port}: it works with another store than {store.absolute()}"
    return f"{where}. The gateway of this store does not run, or its page found the port taken"


def _any_certificate() -> ssl.SSLContext:
    """Return a context that trusts any certificate: this machine is asked, by a name that is in none, and is sent no secret."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
