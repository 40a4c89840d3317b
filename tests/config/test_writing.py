"""The configuration file is replaced as a whole or not at all, keeps rights, owner and links, and the former text once."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from gateway.config.writing import copy_of, replace_file, swap_with_copy, why_unwritable

OLD, NEW = "old = 1\n" * 3000, "new = 2\n" * 3000


def test_rights_and_links_stay_and_one_step_back_can_be_taken_back(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "gateway.toml"
    real.write_text(OLD)
    real.chmod(0o640)
    link.symlink_to(real)
    replace_file(link, NEW)
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == (NEW, 0o640)
    assert copy_of(real).read_text() == OLD
    for first, second in ((OLD, NEW), (NEW, OLD)):
        swap_with_copy(link)
        assert (real.read_text(), copy_of(real).read_text()) == (first, second)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["gateway.toml", "real.toml", "real.toml.before"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_of_another_user_stays_theirs(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(OLD)
    os.chown(file, 1234, 1235)
    replace_file(file, NEW)
    assert (file.stat().st_uid, file.stat().st_gid, file.read_text()) == (1234, 1235, NEW)


def test_without_a_former_text_there_is_no_step_back_and_nothing_changes(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(OLD)
    with pytest.raises(OSError, match="No such file"):
        swap_with_copy(file)
    assert file.read_text() == OLD


def test_a_kill_at_any_moment_leaves_one_of_the_two_texts(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(OLD)
    program = (
        "import sys; from pathlib import Path; from gateway.config.writing import replace_file\n"
        "file, texts = Path(sys.argv[1]), ('old = 1\\n' * 3000, 'new = 2\\n' * 3000)\n"
        "print('begins', flush=True)\n"
        "while True:\n    [replace_file(file, text) for text in texts]\n"
    )
    for kill in range(8):
        with subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(0.005 * kill)
            process.send_signal(signal.SIGKILL)
        assert file.read_text() in (OLD, NEW)
        assert not copy_of(file).exists() or copy_of(file).read_text() in (OLD, NEW)


def test_a_file_that_is_mounted_alone_is_named_with_the_line_for_its_folder(tmp_path, monkeypatch):
    file = tmp_path / "gateway.toml"
    assert why_unwritable(file) is None
    monkeypatch.setattr("gateway.config.writing._mount_points", lambda: {str(file)})
    wrong, fix = why_unwritable(file)
    assert "single file" in wrong
    assert f":{tmp_path}" in fix
