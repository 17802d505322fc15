"""Every fault that a user can cause or meet, as one small tree.

A message says where, what was found, what is wanted and what to do. The command line prints it in place of a
traceback and leaves with `exit_code`; a program catches `NmtError`.
"""


class NmtError(Exception):
    """The root: anything that went wrong for a reason that a user can mend."""

    exit_code = 1


class RecipeError(NmtError):
    """A recipe, or a `--set` on top of it, says something that it must not say."""

    exit_code = 2


class DataError(NmtError):
    """Text that was to be read is missing, damaged or does not fit together."""


class CheckpointError(NmtError):
    """A run folder or a model in it is missing, damaged, locked or not safe to load."""


class OutputError(NmtError):
    """A result could not be written."""


class TrainingError(NmtError):
    """Training cannot go on: it diverged, memory ran out, or another process of it is gone."""


class Divergence(TrainingError):
    """The weights are on no good way: what came after the last sound checkpoint is not worth keeping."""


class NonsenseError(NmtError):
    """A model gives something else than log-probabilities: it is damaged, or its training diverged."""


class Interrupted(NmtError):
    """A signal asked to stop; the message says what was saved."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
