"""The errors that a user can cause or fix, as one tree.

    CoreError               shown to the user as it is: what, where, what to do
    |- ConfigError          a setting that does not exist or is out of bounds
    |- DataError            a folder, split list, photo or mask that cannot be used
    |- PhotoError           a photo that cannot be segmented
    |- WeightsError         pretrained weights that cannot be found or downloaded
    |- CheckpointError      a checkpoint that cannot be opened, does not fit, or failed its verification;
    |                       `MisfitError` (core.model.checkpoint.fitting) lists the weights that do not fit,
    |                       `NoRoomError` is too little memory
    `- RunError             a run folder that cannot be created, read, started or extended

Any other exception is a bug.
"""


class CoreError(Exception):
    """The base class; the message is one sentence for the user."""


class ConfigError(CoreError):
    """A setting that does not exist or is out of bounds."""


class DataError(CoreError):
    """A folder, split list, photo or mask that cannot be used."""


class PhotoError(CoreError):
    """A photo that cannot be segmented."""


class WeightsError(CoreError):
    """Pretrained weights that cannot be found or downloaded."""


class CheckpointError(CoreError):
    """A checkpoint that cannot be opened, does not fit, or failed its verification."""


class NoRoomError(CheckpointError):
    """A checkpoint that opens, but for which too little memory is free."""


class RunError(CoreError):
    """A run folder that cannot be created, read, started, stopped or extended."""


def in_words(error: BaseException) -> str:
    """Return an error's kind and the first line of what it says, without the advice of a training's error."""
    line = (str(error).strip().splitlines() or ["no message"])[0]
    line = line.partition(";")[0] if isinstance(error, RunError) else line
    return f"{type(error).__name__}: {line.rstrip('.')}"
