"""The register finder: the right register, type, order and scale for what a display shows."""

from __future__ import annotations

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.tools.register_finder import explain
from gateway.adapter import Dump


def load_cases():
    spec = importlib.util.spec_from_file_location("register_cases", Path(__file__).with_name("register_cases.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["register_cases"] = module
    spec.loader.exec_module(module)
    return module


def is_first(case):
    """Whether the truth is the first explanation, or one that no value tells from it."""
    found = explain(case.seen, tolerance=0.0)
    return bool(found) and case.is_explained_by(found[0].where)


@pytest.mark.parametrize(("samples", "least"), [(1, 0.85), (2, 0.93), (3, 0.95)])
def test_the_truth_is_first_in_most_generated_devices(samples, least):
    cases = list(load_cases().cases(150, samples, seed=7))
    assert sum(map(is_first, cases)) / len(cases) >= least


def words(**cells):
    return {int(address[1:]): word for address, word in cells.items()}


def test_a_voltage_is_found_as_a_float_among_its_phases():
    cells = words(_0=0x4366, _1=0x1A3D, _2=0x4366, _3=0x8000, _4=0x4365, _5=0xCCCD, _6=5, _7=0)
    first, *_ = explain([(Dump(cells={"input": cells}), Decimal("230.1"))], tolerance=0)
    assert first.where == "input 0-1, float32"
    assert first.values == pytest.approx([230.1025], abs=1e-3)
    assert first.score == 1.0
    PROFILE_FILES.parse(
        'name = "x"\nmaker = "M"\ntitle = "T"\nfamily = "f"\n[source]\ndocument = "doc"\nedition = "1"\nsection = "1"\n'
        + first.toml,
        Path("x.toml"),
    )


def test_a_scaled_register_is_found_and_a_second_look_rules_the_constant_out():
    one = Dump(cells={"holding": words(_10=2301, _11=2301, _12=77)})
    other = Dump(cells={"holding": words(_10=2308, _11=2301, _12=77)})
    assert len(explain([(one, Decimal("230.1"))], tolerance=0)) >= 2
    (found,) = {e.where for e in explain([(one, Decimal("230.1")), (other, Decimal("230.8"))], tolerance=0)}
    assert found == "holding 10, uint16, x 0.1"


def test_what_stands_nowhere_is_explained_by_nothing():
    assert explain([(Dump(cells={"holding": words(_1=5, _2=6)}), Decimal("230.1"))], tolerance=0) == []


def test_what_counts_in_hundreds_is_not_shown_with_a_decimal():
    dump = Dump(cells={"holding": words(_1=999)})
    assert explain([(dump, Decimal("99999.5"))], tolerance=0.002) == []
    assert explain([(dump, Decimal(99900))], tolerance=0)[0].where == "holding 1, uint16, x 100"


def test_what_is_only_near_is_not_reported_as_what_was_shown():
    dump = Dump(cells={"holding": words(_1=2303)})
    (near, *_) = explain([(dump, Decimal("230.1"))], tolerance=0.01)
    assert "it is within the tolerance, but not equal to the displayed value" in near.why
    (exact, *_) = explain([(dump, Decimal("230.3"))], tolerance=0.01)
    assert not exact.why


def test_a_negative_value_is_a_signed_one():
    first, *_ = explain([(Dump(cells={"holding": words(_1=0xFF85, _2=0)}), Decimal("-12.3"))], tolerance=0)
    assert first.where == "holding 1, int16, x 0.1"


def test_a_device_that_moves_on_is_borne_within_the_tolerance():
    dump = Dump(cells={"holding": words(_1=2315)})
    assert explain([(dump, Decimal("230.1"))], tolerance=0) == []
    assert explain([(dump, Decimal("230.1"))], tolerance=0.01)[0].where == "holding 1, uint16, x 0.1"
