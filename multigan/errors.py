"""Errors that a user can fix."""


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line: what is wrong, and how to fix it.

    The command line prints the message and exits with code 2. From Python it is an ordinary exception.
    """


class LostProcessError(UserError):
    """Another process of the run has gone, so this one cannot go on. Every process says so: the first may be gone."""


class NoSplitError(UserError):
    """A dataset has no split of that name."""


class BrokenSamplesError(UserError):
    """The generated samples are not finite."""


def first_line(error: BaseException) -> str:
    """The first line of a library's error message; its type, if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
