"""What a library deprecates does not fail a test; any other warning does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("category", "fails"),
    [
        ("FutureWarning", 0),
        ("DeprecationWarning", 0),
        ("UserWarning", 1),
        ("RuntimeWarning", 1),
        ("ResourceWarning", 1),
    ],
)
def test_deprecations_pass_and_other_warnings_fail(tmp_path, category, fails):
    (tmp_path / "test_it.py").write_text(
        f"import warnings\ndef test(): warnings.warn('no', {category}, stacklevel=1)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-c", ROOT / "pyproject.toml", tmp_path / "test_it.py"]
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode == fails
