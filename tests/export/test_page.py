"""The page in a real browser, served as any static host does it."""

import functools
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy
import pytest
import torch

from multigan import load
from multigan.export.folder import export

VERSION = "1.30.0"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """The dist folder of onnxruntime-web: that of ONNXRUNTIME_WEB, or npm's."""
    if given := os.environ.get("ONNXRUNTIME_WEB"):
        return given
    room = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"], cwd=room, check=True)
    with tarfile.open(room / f"onnxruntime-web-{VERSION}.tgz") as archive:
        archive.extractall(room, filter="data")
    return room / "package" / "dist"


@pytest.fixture(scope="module")
def site(tmp_path_factory, runtime):
    """Serves the page of a starter: its address, by the name of the modality."""
    room, servers = tmp_path_factory.mktemp("sites"), []

    @functools.cache
    def serve(name):
        export(load(f"starter/{name}"), f"starter/{name}", room / name, "web", runtime=Path(runtime))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", room / name]
        servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(100):
            with socket.socket() as tried:
                if not tried.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        return f"http://127.0.0.1:{port}/"

    yield serve
    for server in servers:
        server.terminate()
        server.wait()


def opened(chromium, address, width=1100):
    """The page once it shows samples, what it asked for, and what it complained of."""
    page = chromium.new_page(viewport={"width": width, "height": 900})
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("main:not([hidden])", timeout=60_000)
    return page, requests, errors


def shots(page, name):
    """A picture of the page to look at, where SHOTS names a folder."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_picture_is_that_of_torch(chromium, site):
    generator = load("starter/image")
    page, requests, errors = opened(chromium, site("image"))
    assert not errors
    for seed in (0, 7, 123456789):
        page.fill("#seed", str(seed))
        page.dispatch_event("#seed", "change")
        page.wait_for_function(f"document.querySelector('#caption').textContent.includes('seed {seed}')")
        made = numpy.array(page.evaluate("Array.from(multigan.last().data)"), "float32").reshape(1, 32, 32)
        (expected,) = next(generator.batches(1, seed)).numpy()
        difference = numpy.abs(made - expected).max()
        print(f"seed {seed}: largest difference from multigan generate {difference:.1e}")
        assert difference < 1e-5, "sample 0 of a seed is that of `multigan generate`"
    others = [url for url in requests if not re.match(r"http://127\.0\.0\.1:|data:", url)]
    assert not others and any(url.endswith(".wasm") for url in requests)
    shots(page, "image")


def test_controls_change_the_picture(chromium, site):
    page, _, errors = opened(chromium, site("image"), width=390)

    def data():
        return numpy.array(page.evaluate("Array.from(multigan.last().data)"))

    def changed_by(action):
        before = data()
        action()
        page.wait_for_timeout(300)
        return numpy.abs(data() - before).max()

    slide = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    first = page.query_selector("#directions input")
    assert changed_by(lambda: first.evaluate(slide, 2.5)) > 0.1
    assert changed_by(lambda: page.click("#reset")) > 0.1
    assert changed_by(lambda: page.query_selector("#share").evaluate(slide, 1)) > 0.1
    page.query_selector("#share").evaluate(slide, 0)
    assert changed_by(lambda: page.select_option("#class", "8")) > 0.1
    page.click("#gallery button >> nth=3")
    assert "Sample 3" in page.text_content("#caption") and "class 8" in page.text_content("#caption")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, "nothing is wider than a phone"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).map((one) => one.id)"
    )
    assert not unnamed and not errors
    assert "generated by a neural network" in page.text_content("#about")
    shots(page, "phone")


def test_a_sound_is_that_of_torch_and_plays(chromium, site):
    page, _, errors = opened(chromium, site("audio"))
    made = numpy.array(page.evaluate("Array.from(multigan.last().data)"), "float32")
    expected = next(load("starter/audio").batches(1, 0)).numpy().ravel()
    print(f"sound: largest difference {numpy.abs(made - expected).max():.1e}")
    assert numpy.abs(made - expected).max() < 1e-4  # as far as rounding lets phases agree
    page.click("#play")
    assert not errors
    shots(page, "audio")


def test_sentences(chromium, site):
    page, _, errors = opened(chromium, site("text"))
    sentences = page.eval_on_selector_all("#gallery button", "buttons => buttons.map((one) => one.textContent)")
    assert len(sentences) == 12 and len(set(sentences)) > 9
    assert all(sentence.split()[-1] in ".?!" for sentence in sentences)
    asked = page.evaluate(
        "multigan.generate({seed: 1, number: 2, label: null}).then((data) => Array.from(data, Number))"
    )
    again = page.evaluate(
        "multigan.generate({seed: 1, number: 2, label: null}).then((data) => Array.from(data, Number))"
    )
    assert asked == again, "a sentence depends on the seed and its number"
    assert not errors
    shots(page, "text")


def test_speed(chromium, site):
    """Printed with -s: how long the page loads, and a picture takes."""
    address = site("image")
    start = time.perf_counter()
    page, _, _ = opened(chromium, address)
    loaded = time.perf_counter() - start
    script = """async () => {
        const { generate, latent } = multigan, times = [];
        for (let number = 0; number < 50; number++) {
            const point = latent(0, number), start = performance.now();
            await generate({ point, label: 0 });
            times.push(performance.now() - start);
        }
        return times.sort((a, b) => a - b)[25];
    }"""
    each = page.evaluate(script)
    print(f"loads in {1000 * loaded:.0f} ms, {each:.2f} ms a picture")
    assert torch.isfinite(torch.tensor(each))
