"""The bill of materials and the audit of the locked packages, without an image and without a network."""

import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(f"deploy_{name}", ROOT / "deploy" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


sbom, audit = script("sbom"), script("audit")


def test_the_bill_names_what_the_lock_pins_with_licences_hashes_and_what_needs_what():
    made = subprocess.run(
        [sys.executable, ROOT / "deploy" / "sbom.py", ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    )
    bill = json.loads(made.stdout)
    pins = {pin.name: pin for pin in sbom.parse_lock((ROOT / "requirements.lock").read_text())}
    components = {one["name"]: one for one in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert set(components) <= set(pins)
    assert {name for name in pins if name in sbom.installed()} == set(components)
    for name, component in components.items():
        assert component["version"] == metadata.version(name)
        assert component["purl"].startswith(f"pkg:pypi/{name}@")
        assert {one["content"] for one in component["externalReferences"][0]["hashes"]} == set(pins[name].hashes)
    refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert set(needs) == refs
    assert components["aiohttp"]["bom-ref"] in needs[bill["metadata"]["component"]["bom-ref"]]
    assert all(one.get("licenses") for one in (components["pydantic"], components["cryptography"], components["aiohttp"]))


def test_two_bills_of_the_same_packages_are_the_same():
    pins, found = sbom.parse_lock((ROOT / "requirements.lock").read_text()), sbom.installed()
    assert sbom.bill_of_materials(pins, found) == sbom.bill_of_materials(pins, found)
    fewer = sbom.bill_of_materials(pins[1:], found)
    assert fewer["serialNumber"] != sbom.bill_of_materials(pins, found)["serialNumber"]


def test_a_package_that_is_not_the_one_of_the_lock_gives_no_bill(tmp_path, capsys):
    (tmp_path / "lock").write_text("aiohttp==0.0.1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    assert sbom.main([str(tmp_path / "lock")]) == 1
    assert "the lock names aiohttp 0.0.1" in capsys.readouterr().err


FINE = {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}
FOUND = {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}]}
SKIPPED = {"dependencies": [{"name": "a", "skip_reason": "not found"}]}


@pytest.mark.parametrize(
    ("stdout", "stderr", "code", "said"),
    [
        (json.dumps(FINE), "", 0, "1 packages of x.lock: no known vulnerabilities"),
        (json.dumps(FOUND), "", audit.FOUND, "a 1: PYSEC-1, mended in 2"),
        (json.dumps(SKIPPED), "", audit.UNKNOWN, "nothing is known"),
        ("", "ERROR:pip_audit._cli:Could not connect to the service", audit.UNKNOWN, "Could not connect to the service"),
        ("", "", audit.UNKNOWN, "pip-audit ended with 1"),
    ],
    ids=["fine", "found", "skipped", "unreachable", "silent"],
)
def test_the_audit_says_what_is_known_and_that_nothing_is(monkeypatch, capsys, stdout, stderr, code, said):
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=stdout, stderr=stderr, returncode=1))
    assert audit.main(["x.lock"]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_the_lock_of_the_audit_is_hashed_and_none_of_it_is_in_the_image():
    pins = {pin.name: pin for pin in sbom.parse_lock((ROOT / "requirements-audit.lock").read_text())}
    assert {"pip-audit", "cyclonedx-python-lib"} <= set(pins)
    assert all(pin.hashes for pin in pins.values())
    assert "pip-audit" not in (ROOT / "requirements.lock").read_text()
