"""Two hosts, as benchmarks/two_hosts.py makes them out of network namespaces: trained over, cut apart, gone on with."""

import os
import shutil
import subprocess
import sys

import pytest
from launching import ROOT


def no_hosts():
    """Why no hosts can be made here, None if they can."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "there are no commands ip and unshare"
    name = f"multigan-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_over_two_hosts_outlives_a_cut_link():
    reason = no_hosts()
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "two_hosts.py"], capture_output=True, text=True, timeout=850
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0 and "verdict: all claims hold" in done.stdout
    assert done.stdout.count("\nyes: ") == 9
    assert "multigan-" not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
