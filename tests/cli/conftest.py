"""Runs commands in this process as the shell would, and a small trained run to use."""

from typing import NamedTuple

import pytest

from multigan import cli

TINY = [
    *("--model.resolution", "16", "--model.generator_width", "4", "--model.discriminator_width", "4"),
    *("--model.latent_dim", "4", "--steps", "2", "--batch_size", "16", "--tracker", "none"),
]


class Result(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The message of an error that a user can mend: the only line of stderr, with exit code 2."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("multigan: error: ")
        return line.removeprefix("multigan: error: ")


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `multigan ARGUMENTS`; what fails with another exception fails the test."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["multigan", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def train(command):
    """Runs `multigan train image` with a tiny model."""
    return lambda *flags: command("train", "image", *TINY, *flags)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run folder of a tiny class-conditional model."""
    from multigan import configure, run

    folder = tmp_path_factory.mktemp("trained") / "run"
    model = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4, "conditional": True}
    return run.train(
        configure("image", model=model, steps=2, batch_size=16, log_every=1, tracker="none", output=str(folder))
    )
