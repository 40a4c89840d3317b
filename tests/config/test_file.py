import os
from pathlib import Path

import pytest

from gateway.config.file import file_exists, file_stamp


def test_a_file_exists_or_not(tmp_path):
    file = tmp_path / "gateway.toml"
    assert not file_exists(file)
    file.write_text("")
    assert file_exists(file)
    assert not file_exists(file / "below a file")


def test_a_file_that_may_not_be_accessed_counts_as_one_so_that_reading_it_reports_why(tmp_path, monkeypatch):
    def denied(path, **how):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    assert file_exists(tmp_path / "gateway.toml")
    assert file_stamp(tmp_path / "gateway.toml") is None


def _rewrite(file):
    file.write_text("a = 2\nb = 3\n")


def _touch(file):
    os.utime(file, ns=(1, 1))


def _replace(file):
    before = file.stat()
    other = file.with_name("other.toml")
    other.write_text(file.read_text())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize("change", [_rewrite, _touch, _replace])
def test_a_saved_or_replaced_file_has_another_stamp(tmp_path, change):
    file = tmp_path / "gateway.toml"
    assert file_stamp(file) is None
    file.write_text("a = 1\n")
    before = file_stamp(file)
    assert file_stamp(file) == before
    change(file)
    assert file_stamp(file) not in (before, None)
