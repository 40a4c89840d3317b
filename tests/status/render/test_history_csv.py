import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from gateway.status.render.history_csv import csv_file_name, history_csv, safe_cell
from gateway.status.series.levels import Kind
from gateway.status.snapshot import MetricHistory

START = datetime(2026, 3, 2, 8, 0, 15, tzinfo=UTC)


def series(metric, means, *, unit=None, spread=0.0, **more):
    at = tuple(int((START + timedelta(seconds=30 * place)).timestamp()) for place in range(len(means)))
    low, high = ([None if mean is None else mean + sign * spread for mean in means] for sign in (-1, 1))
    return MetricHistory(metric=metric, unit=unit, at=at, low=tuple(low), mean=tuple(means), high=tuple(high), **more)


def rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_metric_is_a_column_each_for_its_lowest_mean_and_highest_with_its_unit():
    text = history_csv([series("room_temperature", [21.5, None, -3.25], unit="°C", spread=0.5)])
    assert text == (
        'Time,"Room temperature, lowest [°C]","Room temperature, mean [°C]","Room temperature, highest [°C]"\r\n'
        "2026-03-02T08:00:15Z,21,21.5,22\r\n"
        "2026-03-02T08:01:15Z,-3.75,-3.25,-2.75\r\n"
    )


def test_two_metrics_share_their_times_and_where_one_has_no_value_the_cell_is_empty():
    power = series("power", [1, None, 3], unit="W")
    state = series("state", [None, 0, 1], kind=Kind.WORDS, words=("idle", 'says "hello", twice'))
    relay = series("relay", [0.25], kind=Kind.SWITCH)
    assert rows(history_csv([power, state, relay]))[1:] == [
        ["2026-03-02T08:00:15Z", "1", "1", "1", "", "0.25"],
        ["2026-03-02T08:00:45Z", "", "", "", "idle", ""],
        ["2026-03-02T08:01:15Z", "3", "3", "3", 'says "hello", twice', ""],
    ]


def test_a_part_of_the_range_is_cut_out():
    text = history_csv([series("power", [1, 2, 3])], first=START + timedelta(seconds=1), last=START + timedelta(seconds=30))
    assert [row[2] for row in rows(text)[1:]] == ["2"]


@pytest.mark.parametrize("word", ["=HYPERLINK(0)", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_word_of_a_device_is_a_formula(word):
    text = history_csv([series("state", [0], kind=Kind.WORDS, words=(word,)), series(word, [1], kind=Kind.WORDS, words=("a",))])
    for cell in rows(text)[0] + rows(text)[1]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert safe_cell(word) == f"'{word}"


def test_the_name_of_the_file_has_no_sign_that_a_system_or_a_header_refuses():
    assert csv_file_name('Meter "1"\r\n/../é', "day") == "Meter-1-day.csv"
    assert csv_file_name("☃", "hour") == "device-hour.csv"
    assert len(csv_file_name("x" * 300, "year")) < 80
