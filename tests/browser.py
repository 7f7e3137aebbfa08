"""A real browser for tests: Debian's chromium, through playwright."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium():
    """A browser of which `new_page` makes a page."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "no chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
