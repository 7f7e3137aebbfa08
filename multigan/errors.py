"""The errors that a user can mend."""


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line that says what, and how to fix it.

    The command line prints the message and exits with code 2. From Python it is an ordinary exception.
    """


class LostProcessError(UserError):
    """Another process of the run has gone, so this one cannot go on. Every process says so: the first may be gone."""


class NoSplitError(UserError):
    """A dataset has no split of that name."""


class BrokenSamplesError(UserError):
    """What was generated is not finite numbers."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, without what follows its first line; its name, where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
