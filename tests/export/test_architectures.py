"""Every architecture in every format, as `benchmarks/export.py` has them."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
export = pytest.importorskip("export")


@pytest.mark.slow  # minutes: tracing takes seconds for each
@pytest.mark.parametrize("name", export.MODELS)
def test_every_architecture_makes_what_torch_makes(name, tmp_path):
    generator = export.untrained(name)
    for form, (kind, half) in export.FORMATS.items():
        size, checked = export.measured(generator, name, tmp_path / form, kind, half)
        assert size > 1000 and (checked.same or half), (form, checked)
