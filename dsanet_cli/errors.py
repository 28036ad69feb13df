"""Everything that can go wrong with a user's input.

::

    DsanetError
    ├── UsageError        the command line contradicts itself
    ├── SourceError       an input that cannot be found or listed
    ├── VideoError        a video that cannot be opened or decoded
    ├── FeatureError      a feature file that does not fit
    ├── ModelError        a model directory, checkpoint or encoder that does not load
    ├── TrainingError     a training that diverged
    └── OutputError       a result that cannot be written

Each message is one line that names the file and the way out. The command line catches the base
class only; anything else that escapes is a bug.
"""


class DsanetError(Exception):
    """Base of all errors caused by the input, not by the program."""


class UsageError(DsanetError):
    """The command line contradicts itself or asks for something that does not exist."""


class SourceError(DsanetError):
    """An input path, folder, pattern or list that yields nothing to analyse."""


class VideoError(DsanetError):
    """A video that cannot be opened, has no picture, or stops decoding."""


class FeatureError(DsanetError):
    """A feature file that is not an (N, D) array of finite numbers of the model's width."""


class ModelError(DsanetError):
    """A model directory, checkpoint or encoder that is missing, damaged or does not fit."""


class TrainingError(DsanetError):
    """A training whose loss or weights are no longer finite."""


class OutputError(DsanetError):
    """A result that cannot be written where it was asked for."""
