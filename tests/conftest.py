"""Tests run offline, on one thread, with a cache of their own."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
