import subprocess
import sys

import pytest

CODE = """
import resource, sys
now, most = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
from gateway.process_limits import set_process_limits
set_process_limits()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


@pytest.mark.parametrize(("now", "most", "then"), [(256, 1024, 1024), (1024, 20000, 8192), (9000, 20000, 9000), (512, 512, 512)])
def test_descriptors_are_raised_as_far_as_is_useful_and_no_core_is_dumped(now, most, then):
    ran = subprocess.run([sys.executable, "-c", CODE, str(now), str(most)], capture_output=True, text=True, check=False)
    if ran.returncode and "not allowed" in ran.stderr:
        pytest.skip("this machine allows fewer descriptors")
    assert ran.stdout.split() == [str(then), str(most), "0"], ran.stderr
