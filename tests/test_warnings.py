"""What a library deprecates does not fail a test; any other warning does."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASS = {"FutureWarning", "DeprecationWarning", "PendingDeprecationWarning"}
FAIL = {"UserWarning", "RuntimeWarning", "ResourceWarning"}


def test_deprecations_pass_and_other_warnings_fail(tmp_path):
    tests = "".join(f"def test_{name}(): warnings.warn('no', {name}, stacklevel=1)\n" for name in PASS | FAIL)
    (tmp_path / "test_it.py").write_text(f"import warnings\n{tests}")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-n", "0", "-c", ROOT / "pyproject.toml", tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    assert set(re.findall(r"^PASSED .*test_(\w+)$", found, re.M)) == PASS
    assert set(re.findall(r"^FAILED .*::test_(\w+)", found, re.M)) == FAIL
