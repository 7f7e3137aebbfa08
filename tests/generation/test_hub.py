"""Holds pushing to the Hub and loading from it to a small Hub on this machine: what arrives, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hub_server import Hub, commit

from multigan.errors import UserError
from multigan.generation.model_folder import find


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def run(hub, tmp_path):
    """Runs a program in a process of its own, whose Hub that of this machine is: addresses are read at the start."""

    def run(*arguments, token="hf_writer", **more):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))},
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            **({"HF_TOKEN": token} if token else {}),
            **more,
        }
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    return run


@pytest.fixture
def multigan(run):
    return lambda *arguments, **more: run("-m", "multigan", *arguments, **more)


def refused(done):
    """The one line of a command that was refused."""
    assert done.returncode == 2 and not done.stdout, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_what_was_pushed_is_generated_from_with_its_card(hub, multigan, tmp_path):
    pushed = multigan("push", "starter/image", "me/digits", "--license", "mit", "--commit-message", "first")
    assert pushed.returncode == 0, pushed.stderr
    assert f"{hub.address}/me/digits" in pushed.stdout and hub.messages == ["first"]
    files = hub.repositories["me/digits"]["main"]
    _, header, text = files["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(header)
    assert (card["library_name"], card["license"]) == ("multigan", "mit")
    assert card["pipeline_tag"] == "unconditional-image-generation" and "gan" in card["tags"]
    (model,) = card["model-index"]
    metrics = {one["type"]: one["value"] for result in model["results"] for one in result["metrics"]}
    assert metrics["recall"] > 0.9 and metrics["recall_of_real"] > 0.9
    assert "multigan generate" in text
    made = multigan("generate", "--model", "me/digits", "-n", 2, "--out", "out")
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "out").glob("0*.png"))) == 2
    # From the cache, with no Hub at all.
    again = multigan("generate", "--model", "me/digits", "-n", 2, "--out", "again", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "000001.png").read_bytes() == (tmp_path / "out" / "000001.png").read_bytes()


def test_revision_is_named_after_the_model(hub, multigan, tmp_path):
    files = {file.name: file.read_bytes() for file in find("starter/text").iterdir()}
    hub.repositories["me/words"] = {"main": {}, "v2": files}
    for revision in ("v2", commit(files)):
        shown = multigan("info", f"me/words@{revision}")
        assert shown.returncode == 0 and "modality         text" in shown.stdout, shown.stderr
    assert "has no revision 'v3'" in refused(multigan("info", "me/words@v3"))


@pytest.mark.parametrize(
    ("name", "hub", "words"),
    [
        ("me/words@", {}, "names no revision"),
        ("me/words@v2", {"revision": "v3"}, "another revision than 'v3'"),
        ("words@v2", {}, "no run or model 'words@v2'"),
        ("me/your/words@v2", {}, "no run or model 'me/your/words@v2'"),
    ],
)
def test_revision_that_says_nothing_is_one_line(name, hub, words):
    with pytest.raises(UserError, match=words) as caught:
        find(name, **hub)
    assert len(str(caught.value).splitlines()) == 1


def test_folder_with_the_sign_of_a_revision_in_its_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "words@v2").symlink_to(find("starter/text"))
    assert find("me/words@v2") == Path("me/words@v2")


@pytest.mark.slow
def test_branches_pull_requests_and_private_repositories(hub, multigan, run):
    for flags, words in (
        (["me/digits", "--branch", "trial"], "/me/digits/tree/trial"),
        (["me/digits", "--create-pr"], "/me/digits/discussions/1"),
        (["me/secret", "--private"], "/me/secret"),
    ):
        done = multigan("push", "starter/text", *flags)
        assert done.returncode == 0 and words in done.stdout, done.stderr
    assert hub.repositories["me/digits"]["main"] == {} and "config.json" in hub.repositories["me/digits"]["trial"]
    assert len(hub.pull_requests) == 1 and hub.private == {"me/secret"}
    load = "from multigan import load; print(load('me/digits', revision='trial', cache_dir='here').name)"
    assert run("-c", load).stdout == "text\n"
    made = multigan("generate", "--model", "me/digits@trial", "-n", 2, "--out", "out")
    assert made.returncode == 0, made.stderr
    assert "no revision 'none'" in run("-c", load.replace("trial", "none")).stderr
    offline = load.replace("cache_dir='here'", "local_files_only=True, cache_dir='here'")
    assert run("-c", offline).stdout == "text\n"
    assert "cannot be reached" in run("-c", offline.replace("here", "elsewhere")).stderr
    secret = "from multigan import load; print(load('me/secret', token='hf_writer').name)"
    assert run("-c", secret, token="hf_reader").stdout == "text\n"


@pytest.mark.slow
def test_what_the_hub_refuses_is_one_line(hub, multigan):
    assert multigan("push", "starter/text", "me/secret", "--private").returncode == 0
    assert "refuses access to other/digits (403)" in refused(multigan("push", "starter/text", "other/digits"))
    assert multigan("push", "starter/text", "me/public").returncode == 0
    theirs = refused(multigan("push", "starter/image", "me/public", token="hf_reader"))
    assert "refuses access to me/public (403)" in theirs
    assert "leave out the branch" in refused(multigan("push", "starter/text", "me/a", "--branch", "b", "--create-pr"))
    assert "refuses access to me/digits (401)" in refused(multigan("push", "starter/text", "me/digits", token=None))
    assert "'a/b/c'" in refused(multigan("push", "starter/text", "a/b/c"))
    assert "'nowhere'" in refused(multigan("push", "nowhere", "me/digits"))
    for name, token in (("me/none", "hf_writer"), ("me/secret", "hf_reader"), ("me/secret", None)):
        line = refused(multigan("generate", "--model", name, token=token))
        assert f"'{name}'" in line and "a private one needs a token" in line
    unreachable = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "cannot be reached" in refused(multigan("push", "starter/text", "me/digits", **unreachable))
    line = refused(multigan("generate", "--model", "me/none", HF_HUB_OFFLINE="1"))
    assert "not in the cache" in line
