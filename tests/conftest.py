"""Tests run offline, on one thread, with a cache of their own."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from outcome import Result


@pytest.hookimpl(tryfirst=True)  # before those that were not asked for are left out
def pytest_collection_modifyitems(items):
    """What launches two processes for every modality and network is slow; that for DCGAN is in the default suite."""
    for item in items:
        if item.originalname == "test_two_processes_are_one_and_resume_as_one" and item.cls.__name__ != "TestDCGAN":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs `multigan ARGUMENTS`; what fails with another exception fails the test."""

    def run(*arguments):
        from multigan import cli

        monkeypatch.setattr("sys.argv", ["multigan", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Result(code, *capfd.readouterr())

    return run
