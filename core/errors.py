"""What can go wrong, as one tree.

    CoreError               shown to a person as it is: what, where, what to do
    |- ConfigError          a setting that does not exist or is out of bounds
    |- DataError            a folder, split list, photo or mask that cannot be used
    |- PhotoError           a photo somebody wants segmented cannot be used
    |- WeightsError         pretrained weights cannot be had
    |- CheckpointError      a checkpoint file that cannot be opened, or failed its verification; where weights are
    |                       missing or do not fit, its `MisfitError` (core.model.checkpoint.fitting), which lists them
    `- RunError             a run folder that cannot be created, read, started or extended

Anything else that is raised is a bug and must be seen as one.
"""


class CoreError(Exception):
    """The base of every error a user can cause or mend; its text is one sentence for that user."""


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


class RunError(CoreError):
    """A run folder that cannot be created, read, started, stopped or extended."""
