"""Write the software bill of materials of an installed gateway, as CycloneDX JSON: what the lock names and is installed here.

    python deploy/sbom.py requirements.lock > sbom.cdx.json

It runs in the Python whose packages it lists, and uses nothing but the standard library: the image is built with few tools, and
each tool would need watching itself. `make sbom` checks the result against the official schema. The packages of the base image
are not in it; its publisher lists those.
"""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

SELF = "xyte-gateway"
PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAMESPACE = uuid.UUID("6f0b1f0a-3f0e-4c57-9d5d-0d1f5c1c8a53")
"""The serial number follows from the content: two builds of the same packages have the same document."""


class Mismatch(Exception):
    """What is installed is not what the lock names; the text says which package."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of the lock."""

    name: str
    version: str
    hashes: Sequence[str]
    """Of all its files, for every system."""


def main(arguments: Sequence[str]) -> int:
    """Write the document to stdout; exit code 1 where the packages are not those of the lock."""
    try:
        document = bill_of_materials(parse_lock(Path(arguments[0]).read_text(encoding="utf-8")), installed())
    except Mismatch as error:
        sys.stderr.write(f"no bill of materials: {error}\n")
        return 1
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0


def parse_lock(text: str) -> list[Pin]:
    """Return the packages of a hashed list, as `uv pip compile --generate-hashes` writes it."""
    pins: list[Pin] = []
    for entry in text.replace("\\\n", " ").splitlines():
        found = PIN.match(entry)
        if found is not None:
            pins.append(Pin(normalized(found["name"]), found["version"], tuple(HASH.findall(entry))))
    return pins


def installed() -> dict[str, metadata.Distribution]:
    """Return what is installed in this Python."""
    return {normalized(one.metadata["Name"]): one for one in metadata.distributions()}


def normalized(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bill_of_materials(pins: Sequence[Pin], found: Mapping[str, metadata.Distribution]) -> dict[str, Any]:
    """Return the document.

    Raises:
        Mismatch: the gateway is not installed, or a package has another version than the lock names.
    """
    if SELF not in found:
        raise Mismatch(f"{SELF} is not installed in {sys.prefix}")
    present = [pin for pin in pins if pin.name in found]  # the lock is for every system, and has packages of others
    for pin in present:
        if found[pin.name].version != pin.version:
            raise Mismatch(f"the lock names {pin.name} {pin.version}, and {found[pin.name].version} is installed")
    components = [_component(found[pin.name], pin) for pin in present]
    names = {pin.name: component["bom-ref"] for pin, component in zip(present, components, strict=True)}
    own = _component(found[SELF], None)
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted({names[one] for one in _required(found[name]) if one in names})}
            for name, ref in ((SELF, own["bom-ref"]), *names.items())
        ],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    if (epoch := os.environ.get("SOURCE_DATE_EPOCH")) is not None:
        document["metadata"]["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    return document


def _component(distribution: metadata.Distribution, pin: Pin | None) -> dict[str, Any]:
    name, version = normalized(distribution.metadata["Name"]), distribution.version
    purl = f"pkg:pypi/{name}@{version.replace('!', '%21').replace('+', '%2B')}"
    component: dict[str, Any] = {
        "type": "application" if pin is None else "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }
    if summary := distribution.metadata.get("Summary"):
        component["description"] = summary
    if licences := list(_licences(distribution.metadata)):
        component["licenses"] = licences
    if pin is not None and pin.hashes:
        component["externalReferences"] = [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": one} for one in pin.hashes]}
        ]
    return component


def _licences(fields: metadata.PackageMetadata) -> Iterator[dict[str, Any]]:
    """Yield the licence: the expression, or else the names of the classifiers, or else what is written."""
    if expression := fields.get("License-Expression"):
        yield {"expression": expression}
        return
    classifiers = [one.rpartition(" :: ")[2] for one in fields.get_all("Classifier") or () if one.startswith("License :: ")]
    written = (fields.get("License") or "").strip().splitlines()
    for name in classifiers or written[:1]:
        yield {"license": {"name": name}}


def _required(distribution: metadata.Distribution) -> Iterator[str]:
    """Yield the names of the packages that one may need."""
    for requirement in distribution.requires or ():
        if (found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)) is not None:
            yield normalized(found[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
