"""Runs commands in this process as the shell would."""

from typing import NamedTuple

import pytest

from multigan import cli


class Result(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The message of an error that a user can mend: the only line of stderr, with exit code 2."""
        assert self.code == 2, self
        (line,) = self.err.splitlines()
        assert line.startswith("multigan: error: "), self
        return line.removeprefix("multigan: error: ")


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs `multigan ARGUMENTS`; what fails with another exception fails the test."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["multigan", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Result(code, *capfd.readouterr())

    return run
