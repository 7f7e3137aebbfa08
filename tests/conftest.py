"""Tests run offline, on one thread, with a cache of their own."""

import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from outcome import Result


@pytest.hookimpl(tryfirst=True)  # before those that were not asked for are left out
def pytest_collection_modifyitems(items):
    """What launches two processes for every modality and network is slow; that for DCGAN is in the default suite.

    So is what needs a browser, which a newcomer may not have.
    """
    for item in items:
        two = item.originalname == "test_two_processes_are_one_and_resume_as_one"
        if (two and item.cls.__name__ != "TestDCGAN") or "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")  # while it lasts, asyncio runs in this thread
def chromium():
    """A real browser, of which `new_page` makes a page."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "no chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


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
