"""The image in containers as the compose files make them, with an engine, a cloud and devices of the test's own."""

import json
import re
import time
from datetime import datetime
from html import unescape
from types import SimpleNamespace

import pytest

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(600)]

ADAPTER = "/dev/serial/by-id/usb-Test_Adapter-if00-port0"
KEY = "0f0e0d0c-1111-4222-8333-444455556666"
MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
HUB_GONE_LIMIT = 3
PAGE, DEMO_PAGE = "http://127.0.0.1:8080", "http://127.0.0.1:8090"
SOON = """
services:
  gateway:
    healthcheck: {interval: 1s, timeout: 10s, retries: 1, start_period: 1s}
"""
"""What the image checks each minute is checked all the time, so that a test need not wait."""

CONFIG = """
[gateway]
name = "In a container"
mac = "02:00:5e:10:00:01"

[cloud]
entry_url = "http://172.17.0.1:9080"
allow_plain_http = true
hardware_key_file = "/run/secrets/hardware_key"
telemetry_every = 5

[status]
hub_gone_limit = {limit}

[models]
"*" = "{model}"
"""
METER = """
[[adapter]]
type = "modbus"
hosts = [{{ host = "172.17.0.1", port = {modbus} }}]
units = "1"
"""
LINE = """
[[adapter]]
type = "modbus"
name = "line"
lines = [{{ port = "{adapter}", baudrate = 9600, parity = "N" }}]
units = "1"
"""
RADIO = """
[[adapter]]
type = "ble"
name = "radio"
scan_time = 1
"""


@pytest.fixture
def composed(engine, tmp_path):
    """`composed(config)` starts the gateway as the compose file says and returns its container."""
    names = []

    def up(config=None, *, overlays=(), more=SOON, service="gateway"):
        folder = tmp_path / f"config-{len(names)}"
        folder.mkdir()
        files = ["docker-compose.yml", *(f"deploy/compose.{overlay}.yml" for overlay in overlays)]
        if more is not None:
            (folder / "more.yml").write_text(more)
            files.append(str(folder / "more.yml"))
        project = ["--project-name", f"test{len(names)}", *(word for file in files for word in ("--file", file))]
        environment = {}
        if config is not None:
            (folder / "gateway.toml").write_text(config)
            (folder / "key").write_text(KEY)
            environment = {"XYTE_GATEWAY_FOLDER": str(folder), "XYTE_GATEWAY_FILE": "gateway.toml"}
            environment["XYTE_HARDWARE_KEY_FILE"] = str(folder / "key")
        names.append((project, environment))
        engine.compose(*project, "up", "--detach", "--no-build", service, **environment)
        name = engine.compose(*project, "ps", "--quiet", service, **environment).strip()
        return SimpleNamespace(
            name=name,
            folder=folder,
            state=lambda: engine.inspect(name)["State"],
            health=lambda: engine.inspect(name)["State"]["Health"]["Status"],
            log=lambda: engine.log(name),
            run=lambda *words: engine.docker("exec", name, *words),
            stop=lambda: _timed(lambda: engine.docker("stop", name)),
            start=lambda: engine.docker("start", name),
        )

    yield up
    for project, environment in names:
        engine.compose(*project, "down", "--volumes", "--timeout", "1", **environment)


def _timed(do):
    began = time.monotonic()
    do()
    return time.monotonic() - began


def config(*entries, **places):
    return "".join((CONFIG, *entries)).format(limit=HUB_GONE_LIMIT, model=MODEL, **places)


def test_the_image_runs_as_nobody_in_particular_and_says_what_it_is(engine):
    known = engine.inspect("xyte-gateway")["Config"]
    assert known["User"] == "10001:10001"
    assert list(known["Volumes"]) == ["/var/lib/xyte-gateway"]
    assert known["StopSignal"] == "SIGTERM"
    assert known["Healthcheck"]["Test"] == ["CMD", "xyte-gateway", "health"]
    assert known["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    assert known["Labels"]["org.opencontainers.image.licenses"] == "MIT"


def test_the_image_holds_what_runs_and_not_what_built_it(engine):
    look = r"find / -xdev \( -path /opt/xyte-gateway/bin/pip -o -name uv -o -name hatchling -o -path /build \)"
    as_root = ["run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", "xyte-gateway"]
    assert engine.docker(*as_root, "-c", look) == ""
    ours, base = (
        sum(map(int, engine.docker("history", "--human=false", "--format", "{{.Size}}", image).split()))
        for image in ("xyte-gateway", "debian-with-python")
    )
    assert ours - base < 125_000_000  # two libraries for ciphers, which parsers of advertisements bring, are 25 MB of it


def test_the_image_has_the_bill_of_materials_of_what_is_installed_in_it(engine):
    inside = ["run", "--rm", "--network", "none", "--entrypoint", "python", "xyte-gateway", "-c"]
    look = (
        "import json, re; from importlib import metadata;"
        "from pathlib import Path;"
        "bill = json.loads(Path('/opt/xyte-gateway/share/sbom/xyte-gateway.cdx.json').read_text());"
        "named = {(one['name'], one['version']) for one in [bill['metadata']['component'], *bill['components']]};"
        "here = {(re.sub('[-_.]+', '-', one.metadata['Name']).lower(), one.version) for one in metadata.distributions()};"
        "print(sorted(named ^ here), len(named) > 40)"
    )
    assert engine.docker(*inside, look).strip() == "[] True"


def test_a_first_start_with_nothing_set_keeps_running_and_its_page_sets_it_up(engine, composed, until):
    gateway = composed(more=None)
    until(lambda: engine.get(f"{PAGE}/healthz")[0] == 200)
    token = re.search(r"status page token, shown only this once: (\S+)", gateway.log())[1]
    assert engine.get(f"{PAGE}/readyz", token)[0] == 503
    assert "Set up this gateway" in unescape(engine.get(f"{PAGE}/", token)[1])
    until(lambda: "gateway.toml" in gateway.run("ls", "/etc/xyte-gateway"))
    assert gateway.state()["Running"]
    assert engine.inspect(gateway.name)["RestartCount"] == 0


def test_a_start_without_a_configuration_proposes_one_in_the_volume(engine, until):
    engine.docker("run", "--detach", "--name", "bare", "--read-only", "--cap-drop", "ALL", "xyte-gateway")
    try:
        until(lambda: "gateway.toml" in engine.docker("exec", "bare", "ls", "/var/lib/xyte-gateway"))
        assert engine.inspect("bare")["State"]["Running"]
    finally:
        engine.docker("rm", "--force", "--volumes", "bare")


def test_a_configuration_that_is_mended_as_editors_do_it_is_taken_without_a_restart(composed, emulator, until):
    with emulator() as cloud:
        gateway = composed("[clout]")
        until(lambda: "clout" in gateway.log())
        mended = gateway.folder / "gateway.toml.new"
        mended.write_text(config())
        mended.replace(gateway.folder / "gateway.toml")
        until(lambda: len(cloud.ask("devices")) == 1)
    assert gateway.state()["Running"]


def test_it_gets_healthy_and_can_do_nothing_that_it_need_not(engine, composed, emulator, surroundings, until):
    with emulator() as cloud:
        gateway = composed(config(METER, modbus=surroundings.modbus))
        until(lambda: gateway.health() == "healthy")
        until(lambda: len(cloud.ask("devices")) == 2)
    facts = dict(line.split(":", 1) for line in gateway.run("cat", "/proc/1/status").splitlines())
    assert facts["Name"].strip() == "tini"
    assert set(facts["Uid"].split()) == set(facts["Gid"].split()) == {"10001"}
    assert {int(facts[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert facts["NoNewPrivs"].strip() == "1"
    host = engine.inspect(gateway.name)["HostConfig"]
    assert (host["ReadonlyRootfs"], host["Privileged"], host["Memory"]) == (True, False, 256 * 2**20)
    can_write = "find / -xdev -writable -not -path '/proc/*' -not -type l 2>/dev/null || true"
    assert gateway.run("sh", "-c", can_write) == "/var/lib/xyte-gateway\n"


def test_health_turns_when_the_hub_has_been_gone_for_the_set_time_and_turns_back(composed, emulator, surroundings, until):
    with emulator():
        gateway = composed(config(METER, modbus=surroundings.modbus))
        until(lambda: gateway.health() == "healthy")
    assert until(lambda: gateway.health() == "unhealthy") > HUB_GONE_LIMIT
    with emulator():
        until(lambda: gateway.health() == "healthy")
    assert gateway.state()["Running"]


def test_a_stop_is_quick_and_loses_nothing_and_a_start_is_the_same_gateway(composed, emulator, surroundings, until):
    with emulator() as cloud:
        gateway = composed(config(METER, modbus=surroundings.modbus))
        until(lambda: len(cloud.ask("devices")) == 2 and all(one["state"] for one in cloud.ask("devices")))
        before = cloud.ask("devices")
    gone_at = time.time()
    until(lambda: "hub is not reachable" in gateway.log())  # so what it wanted to send is waiting
    assert gateway.stop() < 8
    stopped_at = time.time()
    assert gateway.state()["ExitCode"] == 0
    gateway.start()
    with emulator() as cloud:
        (child,) = (one["id"] for one in before if one["parent_id"] is not None)
        times = []

        def arrived():
            times[:] = [datetime.fromisoformat(one["at"]).timestamp() for one in cloud.ask(f"devices/{child}/telemetry")]
            return any(at > stopped_at for at in times)

        until(arrived)
        assert [one["id"] for one in cloud.ask("devices")] == [one["id"] for one in before]
    assert any(gone_at < at < stopped_at for at in times)


def test_a_stop_while_it_is_still_starting_is_a_stop(composed):
    gateway = composed(config())
    gateway.stop()
    gateway.start()
    assert gateway.stop() < 8


def test_the_overlays_hand_in_a_serial_adapter_and_bluetooth_and_nothing_else(engine, composed, emulator, surroundings, until):
    mounted = f"""
services:
  gateway:
    volumes: ["{surroundings.line}:/dev/ttyUSB0", "{surroundings.bus}:/run/dbus/system_bus_socket"]
"""
    with emulator() as cloud:
        gateway = composed(config(LINE, RADIO, adapter=ADAPTER), overlays=("serial", "bluetooth"), more=mounted)
        until(lambda: len(cloud.ask("devices")) == 3)
        names = {one["name"] for one in cloud.ask("devices")}
    assert any("SDM630" in name for name in names)
    assert any("BLU H&T" in name for name in names)
    facts = dict(line.split(":", 1) for line in gateway.run("cat", "/proc/1/status").splitlines())
    assert int(facts["CapEff"], 16) == 0
    assert facts["Groups"].split() == ["20", "10001"]
    assert not engine.inspect(gateway.name)["HostConfig"]["Privileged"]


def test_the_demo_runs_in_the_same_box_and_all_its_children_are_alive(engine, composed, until):
    demo = composed(more=None, service="demo")
    until(lambda: engine.get(f"{DEMO_PAGE}/healthz")[0] == 200)
    token = re.search(r"its token +(\S+)", demo.log())[1]

    def standings():
        told = json.loads(engine.get(f"{DEMO_PAGE}/api/v1/children", token)[1])
        return [child["standing"] for child in told["children"]]

    until(lambda: standings() == ["fine"] * 12)
    assert demo.run("xyte-gateway", "health") == "the gateway is ready\n"
    time.sleep(6)  # a telemetry interval: it ends well only if a value of each has reached the cloud
    assert demo.stop() < 8
    assert demo.state()["ExitCode"] == 0, demo.log()
