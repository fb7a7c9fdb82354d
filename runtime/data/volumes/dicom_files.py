"""DICOM files: which they are, and their headers, read without pixels.

Only the attributes that are needed are read: names of patients and private attributes are skipped.
Messages hold no text of a header but that of the standard.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from runtime.core.errors import ImageError
from runtime.core.files import found_instead

_PREAMBLE = 128
_DEFLATED = "1.2.840.10008.1.2.1.99"


def is_dicom_file(path: Path) -> bool:
    """Return whether a regular file begins as a DICOM file does; False where it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False


def class_name(kind: str) -> str:
    """Return the standard's name of a class of objects; text of the file itself is not repeated.

    Example:
        >>> class_name("1.2.840.10008.5.1.4.1.1.481.3"), class_name("1.2.3")
        ('RT Structure Set Storage', 'an object of an unknown class')
    """
    from pydicom.uid import UID

    name = UID(kind).name
    return "an object of an unknown class" if name == kind else name


def object_class(path: Path) -> str:
    """Return the class of a DICOM file's object, a UID. Raises ImageError."""
    with opened(path) as file:
        return class_of(read_header(file, path, ("SOPClassUID",)))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a DICOM file; errors of opening and of parsing are raised as ImageError."""
    if (found := found_instead(path)) is not None:
        raise ImageError(f"{path}: expected a DICOM file, found {found}")
    try:
        with path.open("rb") as file:
            yield file
    except (ImageError, ImportError):
        raise
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {(error.strerror or '').lower()}") from error
    except MemoryError as error:
        raise ImageError(f"{path}: image too large for the available memory") from error
    except Exception as error:  # of many kinds; their text may repeat what the header says
        raise ImageError(f"{path}: damaged or truncated DICOM file") from error


def read_header(file: IO[bytes], path: Path, attributes: tuple[str, ...]) -> Any:
    """Return some attributes of a file, a `pydicom.Dataset`; the file is then at its pixels."""
    import pydicom

    if file.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
        raise ImageError(f"{path}: not a DICOM file")
    file.seek(0)
    syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID")
    if syntax is None:
        raise ImageError(f"{path}: damaged DICOM file, it states no transfer syntax")
    if syntax == _DEFLATED:  # pydicom would unpack it without a limit
        raise ImageError(f"{path}: compressed as {syntax.name}, which is not supported")
    return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(attributes))


def class_of(header: Any) -> str:
    """Return the class of a header's object, a UID; empty where it states none."""
    own = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return str(own or "")
