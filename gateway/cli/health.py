"""`xyte-gateway health`: whether the gateway on this machine is able to do its job, for a container's health check."""

from __future__ import annotations

import http.client

import typer
from pydantic import ValidationError

from gateway.cli.common import EXIT_FAILED, AsJson, ConfigFile, err, out, print_json
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE, StatusSection
from gateway.status.health import Readiness
from gateway.status.hosts import local_host_for

ANSWER_SECONDS = 5.0
MOST_BYTES = 64 * 1024
"""Of an answer: who listens there may be anybody."""


def health(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Ask the gateway on this machine whether it can do its job. Exit code 0 if so, else 1, and the text says why not."""
    section = salvage(config).status
    is_ready, reasons = _asked(section) if section.enabled else (False, [NO_PAGE])
    if as_json:
        print_json({"is_ready": is_ready, "reasons": reasons})
    elif is_ready:
        out.print("the gateway is able to do its job")
    else:
        for reason in reasons:
            err.print(reason, markup=False)
    if not is_ready:
        raise typer.Exit(EXIT_FAILED)


NO_PAGE = "the status page is switched off by [status] enabled, so nothing can be asked"
UNTOLD = "it is not able to do its job; its page and its log say why"


def _asked(section: StatusSection) -> tuple[bool, list[str]]:
    """Ask the page, and return whether it is ready and why not."""
    host = local_host_for(section.host)
    connection = http.client.HTTPConnection(host, section.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = Readiness.model_validate_json(answer.read(MOST_BYTES))
    except ValidationError:
        return False, [f"what answers at {host} port {section.port} is no gateway: HTTP status {answer.status}"]
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, [f"no answer from the gateway at {host} port {section.port}: {error}"]
    finally:
        connection.close()
    return said.is_ready, [] if said.is_ready else list(said.reasons or [UNTOLD])
