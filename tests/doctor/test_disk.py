from pathlib import Path

import pytest

from gateway.doctor.disk import DiskSpace, disk_finding


def space_of(free, whole, *, inodes=10_000, all_inodes=100_000, is_read_only=False):
    return DiskSpace(free_bytes=free, total_bytes=whole, free_inodes=inodes, total_inodes=all_inodes, is_read_only=is_read_only)


@pytest.mark.parametrize(("space", "state", "words"), [
    (space_of(50e9, 100e9), "fine", "50.0 GB (50 %) free"),
    (space_of(5e9, 1000e9), "fine", "(0 %)"),  # a small share of a large disk is plenty
    (space_of(1e9, 30e9), "warning", "1.0 GB (3 %)"),
    (space_of(300e6, 1e9), "warning", "300 MB (30 %)"),
    (space_of(10e6, 1e9), "fault", "nothing more can be stored"),
    (space_of(50e9, 100e9, inodes=3), "fault", "3 inodes"),
    (space_of(50e9, 100e9, inodes=300), "warning", "300 inodes"),
    (space_of(50e9, 100e9, inodes=0, all_inodes=0), "fine", "free"),  # btrfs counts none
    (space_of(50e9, 100e9, is_read_only=True), "fault", "read-only"),
])  # fmt: skip
def test_a_disk_is_judged_by_bytes_share_and_inodes(space, state, words):
    found = disk_finding(Path("/"), space)
    assert found.state == state
    assert words in found.meaning
