"""A playground in a folder of its own: asked directly, or by a browser."""

import threading
import time

import httpx
import pytest
import uvicorn

from multigan import configure
from multigan.playground import server
from multigan.playground.library import Library
from multigan.training import run

RING = "multigan_ring:Ring"


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """A folder with two small runs of pictures, two of models with inputs of different kinds, and one of points."""
    folder = tmp_path_factory.mktemp("room")
    runs = folder / "runs"
    tiny = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4}
    few = {"steps": 2, "batch_size": 16, "log_every": 1, "sample_every": 1, "checkpoint_every": 1, "tracker": "none"}
    for name, seed in (("first", 0), ("second", 1)):
        model = {**tiny, "conditional": True, "architecture": "stylegan2"}
        run.train(configure("image", model=model, **few, seed=seed, output=str(runs / name)))
    small = {"resolution": 32, "generator_width": 4, "discriminator_width": 4, "patch_layers": 2}
    for task, own in (("inpaint", {"depth": 2}), ("labels", {"latent_dim": 4})):
        model = {**small, **own, "task": task}
        run.train(configure("image-to-image", model=model, **{**few, "batch_size": 4}, output=str(runs / task)))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("examples/ring")
        model = {"latent_dim": 2, "width": 8}
        run.train(configure(RING, model=model, **few, output=str(runs / "ring")))
        yield folder


@pytest.fixture
def inside(room, monkeypatch):
    """The folder, as the one that the playground is started in."""
    monkeypatch.chdir(room)
    return room


@pytest.fixture(scope="session")
def site():
    """A playground that answers in a thread; it looks for runs in the folder that the test is in."""
    opened = server.listen("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(server.build(Library((), RING)), log_level="warning"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{opened.getsockname()[1]}/"
    running.should_exit = True
    thread.join()


@pytest.fixture
def address(inside, site):
    """Where the playground of the folder answers."""
    return site


@pytest.fixture
def client(address):
    """Asks the playground of the folder."""
    with httpx.Client(base_url=address, timeout=60) as found:
        yield found
