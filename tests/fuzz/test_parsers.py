"""Every parser takes whatever comes: only its documented errors come out, in bounded time, with plain values."""

import pytest
from fuzzed_parser import run
from hypothesis import HealthCheck, given, settings
from parser_table import PARSERS

INPUTS = 25


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_whatever_comes_in_only_the_documented_errors_come_out(parser):
    @settings(max_examples=INPUTS, suppress_health_check=list(HealthCheck))
    @given(parser.inputs())
    def fuzzed(sent):
        run(parser, sent)

    fuzzed()
