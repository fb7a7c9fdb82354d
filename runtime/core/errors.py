"""The exceptions that the toolkit raises on purpose.

Each message is one sentence that names the file, what was expected and what was found. `exit_code`
is what a command returns: 2 where the use or the input is at fault, or a result cannot be written,
1 where the run itself failed.
"""


class SegmentationError(Exception):
    """Base of everything that the toolkit raises on purpose."""

    exit_code = 1


class UseError(SegmentationError):
    """The command, a setting or an input file is not what it has to be."""

    exit_code = 2


class ConfigError(UseError):
    """A setting is out of its range, or settings contradict each other."""


class DataError(UseError):
    """A data set, or a file of one, cannot be used."""


class ImageError(DataError):
    """An image cannot be read."""


class AnnotationError(DataError):
    """A COCO file, or an annotation in one, cannot be used."""


class ModelError(UseError):
    """An ONNX file cannot be run, or is not a segmentation network."""


class CheckpointError(UseError):
    """A checkpoint or a weights file cannot be loaded."""


class OutputError(UseError):
    """A result cannot be written: no permission, no space, or something is in its place."""


class MissingExtraError(UseError):
    """A command needs an extra of this distribution that is not installed."""


class ParityError(SegmentationError):
    """An exported file does not compute what the PyTorch network computes."""


class StoppedError(SegmentationError):
    """A run was asked to stop, and did so; it can go on from there."""


class MeasurementError(SegmentationError):
    """A network could not be measured: it fails, crashes its process, or does not end."""


class TrainingError(SegmentationError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss became infinite or not a number."""


def printable(value: object, limit: int | None = None) -> str:
    """Return `str(value)` as one line: what could break it or move a cursor is written as escapes.

    Args:
        limit: characters of the text that are kept; by default all.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)[:limit]
    )
