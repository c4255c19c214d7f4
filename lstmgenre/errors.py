"""The errors that a user can cause or mend.

Every message is one line that says what is wrong, where (file, utterance, line), and what to do about it.
:func:`lstmgenre.__main__.main` prints it on stderr and exits with its status; anything else that reaches it is a bug.
"""


class LstmGenreError(Exception):
    """Base of all errors that are about the input and not about the program."""

    exit_status = 1


class DataError(LstmGenreError):
    """A corpus, data directory, audio file, label or archive content that cannot be used."""


class UsageError(DataError):
    """What was asked for makes no sense, whatever the data: a malformed rspecifier."""

    exit_status = 2


class FormatError(LstmGenreError):
    """A file that is not in the format it should be in: says at which byte or line."""


class ModelError(LstmGenreError):
    """A model that does not fit its data, or a training run that broke down (dimension, genres, NaN)."""
