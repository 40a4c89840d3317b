import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.adapter import Adapter, AdapterSettings
from gateway.config.settings import Configuration, Settings
from gateway.doctor.check_runner import Check, in_daemon_thread, run_checks
from gateway.doctor.checks import examine, examine_running
from gateway.doctor.known_config import KnownConfig
from gateway.models import Finding, FindingState
from gateway.testing.clock import simulated


def check(what, *steps, entry=None):
    """A check that yields, waits or raises, as the steps say."""

    async def look():
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, BaseException):
                raise step
            else:
                yield step

    return Check(what, look, entry)


def fine(what):
    return Finding.fine(what, "is as it should be")


async def found(*checks, within_seconds=1.0):
    return [finding async for finding in run_checks(checks, within_seconds=within_seconds)]


def test_findings_come_in_the_order_of_the_checks_however_long_each_takes():
    async def main():
        return (
            await found(check("slow", 0.2, fine("slow")), check("quick", fine("quick")), check("other", 0.2, fine("other"))),
            asyncio.get_running_loop().time(),
        )

    findings, seconds = simulated(main())
    assert [finding.what for finding in findings] == ["slow", "quick", "other"]
    assert seconds == pytest.approx(0.2)


async def test_a_check_that_hangs_is_a_finding_and_keeps_what_it_found_before():
    findings = await found(check("bus", fine("socket"), 60.0, entry="air"), check("next", fine("next")), within_seconds=0.1)
    assert [finding.what for finding in findings] == ["air: socket", "bus", "next"]
    assert findings[1].state is FindingState.WARNING
    assert "did not end within 0.1 s" in findings[1].meaning


@pytest.mark.parametrize("error", [ValueError("the key is s3cr3t"), TimeoutError("s3cr3t")])
async def test_a_check_that_fails_is_a_finding_that_does_not_say_what_the_error_says(error):
    findings = await found(check("bus", error, entry="acme"), check("next", fine("next")))
    assert [finding.what for finding in findings] == ["bus", "next"]
    assert type(error).__name__ in findings[0].meaning
    assert "s3cr3t" not in findings[0].meaning
    assert findings[0].fix == "report this to the author of the adapter acme"


async def test_a_check_that_wants_to_end_the_process_is_a_finding():
    findings = await found(check("bus", SystemExit("s3cr3t"), entry="acme"), check("next", fine("next")))
    assert [finding.what for finding in findings] == ["bus", "next"]
    assert "s3cr3t" not in findings[0].meaning


async def test_who_looks_no_longer_leaves_no_check_behind():
    before = asyncio.all_tasks()
    findings = run_checks([check("first", fine("first")), check("slow", 60.0)])
    assert (await anext(findings)).what == "first"
    await findings.aclose()
    assert asyncio.all_tasks() == before


async def test_what_hangs_in_a_thread_is_not_waited_for():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await in_daemon_thread(lambda: time.sleep(0.5))
    assert await in_daemon_thread(lambda: 7) == 7
    with pytest.raises(OSError, match="gone"):
        await in_daemon_thread(lambda: (_ for _ in ()).throw(OSError("gone")))


class Broken(Adapter[AdapterSettings]):
    """An adapter of a stranger."""

    def discover(self):
        raise NotImplementedError

    def poll_groups(self, child):
        raise NotImplementedError

    def read(self, child, due):
        raise NotImplementedError

    @classmethod
    async def examine(cls, settings) -> AsyncIterator[Finding]:
        yield Finding.fault("line", "is cut", "mend it")
        raise ValueError(settings.name)


class Silent(Broken):
    examine = Adapter.examine


async def test_an_adapter_that_fails_takes_nobody_down_and_one_with_nothing_to_say_says_nothing(tmp_path, monkeypatch):
    settings = Settings(cloud={"entry_url": "http://127.0.0.1:1"}, store={"path": tmp_path / "s"}, status={"enabled": False})
    entries = (AdapterSettings(type="broken", name="one"), AdapterSettings(type="silent", name="two"))
    known = KnownConfig(file=None, is_given=True, settings=settings, entries=entries, replaced=frozenset({"cloud.entry_url"}))
    findings = [finding async for finding in examine(known, {"broken": Broken, "silent": Silent})]
    of_adapters = [finding.what for finding in findings if finding.what.startswith(("one", "two"))]
    assert of_adapters == ["one: line", "one: bus"]
    assert [finding.what for finding in findings][-2:] == ["entry", "clock"]


@pytest.mark.enable_socket
async def test_a_gateway_that_runs_is_examined_with_what_it_was_started_with(tmp_path):
    cloud = {"entry_url": "http://127.0.0.1:1", "allow_plain_http": True}
    settings = Settings(cloud=cloud, store={"path": tmp_path / "s"}, status={"enabled": False})
    entry = AdapterSettings(type="broken", name="one")
    found = {
        finding.what: finding.state
        for finding in await examine_running(Configuration(None, settings, (entry,)), {"broken": Broken})
    }
    assert found["config"] == found["store"] == "fine"
    assert found["one: line"] == found["entry"] == "fault"


def test_a_finding_is_one_printable_line_and_a_fault_names_its_fix():
    finding = Finding.fault("port", "held by \x1b[31mevil\x1b[0m\nprogram", "kill\t1")
    assert (finding.meaning, finding.fix) == ("held by \ufffd[31mevil\ufffd[0m program", "kill 1")
    for state in (FindingState.WARNING, FindingState.FAULT):
        with pytest.raises(ValueError, match="needs a fix"):
            Finding("port", state, "is gone")
