"""The errors a user can meet. Each carries one sentence that names what is wrong and says what to do."""

from __future__ import annotations

EXIT_USER_ERROR = 2
"""Exit status of a command that ended with one of these errors."""


EXIT_PREEMPTED = 75
"""Exit status of a run that was asked to stop and saved a checkpoint: a scheduler may put it in the queue again."""


class BabyLMError(Exception):
    """Base of every failure that the user, not the code, can mend; the command line prints it and exits with 2."""


class OptionError(BabyLMError):
    """An option has a value that cannot work; the message names the option."""


class CorpusError(BabyLMError):
    """Text, a file or a tokenizer cannot be used; the message names the file, and the line where there is one."""


class BudgetError(BabyLMError):
    """The plan would show the model more words than its track allows; the message gives the numbers."""


class RunFolderError(BabyLMError):
    """The output folder or a checkpoint in it cannot be used as asked; nothing in it has been changed."""


class ResumeError(RunFolderError):
    """The run to be resumed was made with other data, another seed or another plan; the message names which."""


class TrainingError(BabyLMError):
    """Training cannot go on: numbers that are not finite, no memory, a worker that died; the message says which."""


class PeerLost(TrainingError):
    """Another process of the run has ended, or its machine cannot be reached any more."""


class Preempted(BabyLMError):
    """A run was asked to stop, saved a checkpoint and stopped; the command line exits with 75."""


class PublishError(BabyLMError):
    """Something may not be published, or has not arrived; the run on disk is whole and publishing it again goes on."""
