"""Every error a user can meet, each with its exit code. The message names what failed, the hint what to do."""


class EnvcapError(Exception):
    """An expected failure: `message` says what failed and why, `hint` the command or setting that helps."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class WrongUsageError(EnvcapError):
    """The command or the configuration asks for something that cannot be meant."""

    exit_code = 2


class NotRunError(EnvcapError):
    """This machine or a step failed: no engine, a build, a pull, a crash, a timeout, out of memory."""

    exit_code = 3


class FileRefusedError(NotRunError):
    """A server that answers has no such file for us."""


class StrictError(NotRunError):
    """`--strict` was given and there are gaps."""


class RefusedError(EnvcapError):
    """The lock is invalid, tampered with, from a newer version, or code or data are not what was frozen."""

    exit_code = 5
