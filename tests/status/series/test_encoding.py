import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.status.series.encoding import decode_segment, encode_segment
from gateway.status.series.levels import Bin

NUMBERS = st.floats(-1e38, 1e38, allow_nan=False)
BINS = st.tuples(NUMBERS, NUMBERS, NUMBERS).map(lambda three: Bin(*sorted(three)))
COLUMNS = st.dictionaries(st.integers(0, 499), st.dictionaries(st.integers(0, 7), BINS, min_size=1), max_size=6)


@given(COLUMNS)
def test_what_comes_back_is_within_a_thousandth_of_the_span(columns):
    decoded = decode_segment(encode_segment(columns))
    assert decoded.keys() == columns.keys()
    for position, bins in columns.items():
        assert decoded[position].keys() == bins.keys()
        span = max(one.high for one in bins.values()) - min(one.low for one in bins.values())
        for place, bin_ in bins.items():
            again = decoded[position][place]
            assert again == pytest.approx(bin_, abs=span / 1000 + 1e-30, rel=1e-12)
            assert again.low <= again.mean <= again.high


def test_values_with_few_decimals_come_back_as_they_were():
    bins = {place: Bin(low, mean, high) for place, (low, mean, high) in enumerate([(229.7, 230.1, 231.4), (230, 230, 230)])}
    counter = {0: Bin(123456789.25, 123456789.5, 123456789.75)}
    assert decode_segment(encode_segment({3: bins, 4: counter})) == {3: bins, 4: counter}


def test_a_metric_of_three_bins_takes_at_most_thirty_bytes_and_one_that_rests_a_third():
    moves = {place: Bin(229.123456 - place, 230.234567 + place, 231.345678 + 2 * place) for place in range(3)}
    rests = {place: Bin(50.0, 50.0, 50.0) for place in range(3)}
    assert len(encode_segment({499: moves})) <= 30
    assert len(encode_segment({499: rests})) <= 8


def test_only_the_metrics_that_are_wanted_are_decoded():
    columns = {position: {0: Bin(position, position + 0.5, position + 1)} for position in range(5)}
    assert decode_segment(encode_segment(columns), {3}) == {3: columns[3]}


@given(st.binary(max_size=80))
def test_bytes_that_are_no_segment_are_refused_as_such(blob):
    with contextlib.suppress(ValueError):
        decode_segment(blob)


def test_a_segment_that_was_cut_is_refused():
    whole = encode_segment({1: {0: Bin(1, 2, 3)}})
    for length in range(1, len(whole)):
        with pytest.raises(ValueError, match="the segment ends within"):
            decode_segment(whole[:length])
