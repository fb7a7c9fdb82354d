"""The exceptions that the toolkit raises on purpose, and safe text for their messages.

    SegmentationError
    ├── UseError
    │   ├── ConfigError
    │   ├── DataError
    │   │   ├── ImageError
    │   │   └── AnnotationError
    │   ├── ModelError
    │   ├── ProviderError
    │   ├── CheckpointError
    │   ├── OutputError
    │   └── MissingExtraError
    ├── ParityError
    ├── StoppedError
    ├── MeasurementError
    ├── ClusterError
    └── TrainingError
        └── NonFiniteLossError

Each message is one sentence that names the file and says what is wrong.
"""


class SegmentationError(Exception):
    """Base class of all errors that the toolkit raises on purpose.

    Attributes:
        exit_code: what a command returns. It is 2 where the use, the input or the place of a result
            is at fault, and 1 where the run itself failed.

    Example:
        >>> raise ImageError("scan.png: no such file")
        Traceback (most recent call last):
        runtime.core.errors.ImageError: scan.png: no such file
        >>> issubclass(ImageError, SegmentationError), ImageError.exit_code
        (True, 2)
    """

    exit_code = 1


class UseError(SegmentationError):
    """The command, a setting or an input file cannot be used."""

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


class ProviderError(UseError):
    """An execution provider is not available, or does not compute a network as requested."""


class CheckpointError(UseError):
    """A checkpoint or a weights file cannot be loaded."""


class OutputError(UseError):
    """A result cannot be written: no permission, no space, or something else is in its place."""


class MissingExtraError(UseError):
    """A command needs an extra of this distribution that is not installed."""


class ParityError(SegmentationError):
    """An exported file does not compute the same as the PyTorch network."""


class StoppedError(SegmentationError):
    """A run stopped because it was asked to; it can be resumed."""


class MeasurementError(SegmentationError):
    """A network could not be measured: it fails, crashes its process, or does not end."""


class ClusterError(SegmentationError):
    """The workers or the scheduler of a cluster went away; finished parts are kept."""


class TrainingError(SegmentationError):
    """Training cannot continue."""


class NonFiniteLossError(TrainingError):
    """The loss became infinite or not a number."""


class DataWarning(UserWarning):
    """An image or annotation is used, but is probably not what its author meant."""


def printable(value: object, limit: int | None = None) -> str:
    r"""Return `str(value)` as one line, with control characters written as escapes.

    Text from files of unknown origin could otherwise break a line or move a terminal's cursor.

    Args:
        limit: largest number of characters of the text to use; None for all.

    Example:
        >>> printable("scan\n.png")
        'scan\\n.png'
        >>> printable("a long name", 6)
        'a long'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)[:limit]
    )


def first_line(error: BaseException) -> str:
    r"""Return the type of an exception of others' code, and the first line of its text.

    Example:
        >>> first_line(ValueError("no such layer\nin module net"))
        'ValueError: no such layer'
    """
    first = printable(str(error).strip().partition("\n")[0], 200)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


_MAX_REASON = 500
"""Characters of a library's error that are shown."""


def reason_of(error: Exception) -> str:
    r"""Return an error's message on one line, shortened in the middle where it is very long.

    ONNX Runtime begins with where it failed and ends with why, so both ends are worth keeping.

    Example:
        >>> reason_of(RuntimeError("[ONNXRuntimeError] : 1 : FAIL :\n  no kernel"))
        '[ONNXRuntimeError] : 1 : FAIL : no kernel'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) <= _MAX_REASON:
        return text
    half = _MAX_REASON // 2
    return f"{text[:half]} ... {text[-half:]}"
