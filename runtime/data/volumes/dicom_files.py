"""DICOM files: what their headers state of each image, and the decoding of one image.

Headers are read without pixels, and only the attributes that are needed: names of patients and
private attributes are skipped. Messages hold no text of a header but that of the standard.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, get_args

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import ImageError, printable
from runtime.core.extras import require
from runtime.core.files import found_instead
from runtime.data.volumes.dicom_values import (
    LookupTable,
    Rescale,
    ValueRule,
    Window,
    WindowFunction,
)

Triple = tuple[float, float, float]

MAX_IMAGES = 1 << 16
"""Most images of one DICOM file."""
NO_SCANS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
    }
)
"""Classes of objects that have pixels, which no scanner made."""
_PREAMBLE = 128
_MAX_TABLE = 1 << 16
_LEAST_ENCODED = 8
_ROUNDING = 1e-3
_DEFLATED = "1.2.840.10008.1.2.1.99"
_EXTENDED = "1.2.840.10008.1.2.4.51"
"""JPEG Extended, of which Pillow decodes 8 bits."""
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_FUNCTIONS: tuple[WindowFunction, ...] = get_args(WindowFunction)
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
"""The tag of Pixel Data in both byte orders."""
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Of JPEG and JPEG-LS: segments that state the size."""
_ATTRIBUTES = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"),
    *("PatientID", "IssuerOfPatientID", "SamplesPerPixel", "PhotometricInterpretation"),
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)


@dataclass(frozen=True, slots=True, eq=False)
class DicomImage:
    """One image of a DICOM file, not yet decoded.

    Attributes:
        path: of the file.
        frame: of the file, from 0.
        instance: UID of the file's object.
        series, series_number: of the series.
        number: the instance's number, or 0.
        patient: patient ID and its issuer; None where there is no ID.
        size: rows and columns.
        rule: how stored pixels become values.
        position: center of the first pixel, in mm toward the left, back and head (LPS).
        directions: of a row, along its columns, and of a column, along its rows.
        spacing: distance of rows and of columns in mm.
        thickness: distance of slices in mm, as far as the header states one.
    """

    path: Path
    frame: int
    instance: str
    series: str
    series_number: int
    number: int
    patient: tuple[str, str] | None
    size: tuple[int, int]
    rule: ValueRule
    position: Triple | None = None
    directions: tuple[Triple, Triple] | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None


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
        return _class_of(read_header(file, path, ("SOPClassUID",)))


def read_images(path: Path) -> tuple[DicomImage, ...]:
    """Return the images of a DICOM file, in their order; none where its object is no scan.

    Raises:
        MissingExtraError: pydicom is not installed.
        ImageError: the file is damaged, has no gray pixels, or is compressed in a way that is not
            supported.
    """
    require("dicom", "pydicom")
    with opened(path) as file:
        header = read_header(file, path, _ATTRIBUTES)
        if _class_of(header) in NO_SCANS or not (header.get("Rows") and header.get("Columns")):
            return ()
        length = _pixel_bytes(file, header, path)
        frames = _checked_frames(header, path, length, path.stat().st_size - file.tell())
        return tuple(_image(header, path, index, frames) for index in range(frames))


def decode(image: DicomImage) -> NDArray[Any]:
    """Return the stored pixels of an image, integers [rows, columns].

    Raises:
        ImageError: the pixels are damaged, truncated, or not of the stated number.
    """
    from pydicom.pixels.utils import pixel_array

    with opened(image.path) as file:
        header = read_header(file, image.path, ("NumberOfFrames",))
        if header.file_meta.TransferSyntaxUID.is_encapsulated:
            file.seek(12, 1)  # tag, VR and length
            _check_encoded(file, image, int(header.get("NumberOfFrames") or 1))
        file.seek(0)
        stored: NDArray[Any] = pixel_array(file, index=image.frame)
        if stored.shape != image.size:
            raise ImageError(f"{image.path}: damaged pixel data")
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)


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


def _class_of(header: Any) -> str:
    own = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return str(own or "")


def _pixel_bytes(file: IO[bytes], header: Any, path: Path) -> int:
    """Return the length that the element of the pixels states, and leave the file behind it."""
    if file.read(4) not in _PIXEL_DATA:
        raise ImageError(f"{path}: no pixel data")
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_implicit_VR:
        file.seek(4, 1)
    return int.from_bytes(file.read(4), "little" if syntax.is_little_endian else "big")


def _checked_frames(header: Any, path: Path, length: int, room: int) -> int:
    """Return the number of images, after a check of what the header states of their pixels.

    Args:
        length: of the pixels' element, in bytes.
        room: bytes from there to the end of the file.
    """
    photometric = str(header.get("PhotometricInterpretation", ""))
    bits = int(header.get("BitsAllocated", 0))
    if int(header.get("SamplesPerPixel", 1)) != 1 or photometric not in _GRAY:
        raise ImageError(f"{path}: a color image, expected MONOCHROME1 or MONOCHROME2")
    if bits not in (8, 16, 32):
        raise ImageError(f"{path}: expected 8, 16 or 32 bits for each pixel, found {bits}")
    rows, columns = int(header.Rows), int(header.Columns)
    if not 0 < rows * columns <= runtime.data.images.MAX_PIXELS:
        most = runtime.data.images.MAX_PIXELS
        raise ImageError(f"{path}: expected 1 to {most} pixels, found {columns}x{rows}")
    syntax = header.file_meta.TransferSyntaxUID
    if not _decodes(syntax, bits):
        raise ImageError(
            f"{path}: compressed as {printable(syntax.name)}, which is not supported; decompress "
            "it first, for example by `gdcmconv --raw`"
        )
    frames = int(header.get("NumberOfFrames") or 1)
    if syntax.is_encapsulated:
        fits = frames * _LEAST_ENCODED <= room
    else:
        # Some programs pad the pixels. A row or a column more is a header with another size.
        excess = length - frames * rows * columns * bits // 8
        fits = length <= room and 0 <= excess < max(2, min(rows, columns) * bits // 8)
    if not (fits and 0 < frames <= MAX_IMAGES):
        raise ImageError(
            f"{path}: truncated, or its header is wrong: it states {frames} images of {columns}x"
            f"{rows} pixels of {bits} bits, and has {min(length, room)} bytes of them"
        )
    return frames


def _decodes(syntax: Any, bits: int) -> bool:
    """Return whether there is a decoder for pixels of so many bits."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return get_decoder(syntax).is_available and (syntax != _EXTENDED or bits == 8)
    except NotImplementedError:
        return False


def _check_encoded(file: IO[bytes], image: DicomImage, frames: int) -> None:
    """Raise ImageError if a compressed image has another size than the header states.

    Decoders believe the compressed data, and would allocate what these ask for.
    """
    from pydicom.encaps import get_frame

    size = encoded_size(get_frame(file, image.frame, number_of_frames=frames))
    if size is not None and size != image.size:
        raise ImageError(
            f"{image.path}: {image.size[1]}x{image.size[0]} pixels, but its compressed data have "
            f"{size[1]}x{size[0]}"
        )


def encoded_size(data: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG, JPEG-LS or JPEG 2000 codestream; None for other data.

    Example:
        >>> encoded_size(bytes.fromhex("ffd8 fff7 000b 08 0020 0010 01 01 11 00"))
        (32, 16)
        >>> encoded_size(b"RLE") is None
        True
    """
    if data[:4] == b"\xff\x4f\xff\x51":
        width, height, left, top = struct.unpack_from(">4I", data, 8)
        return height - top, width - left
    place = 2 if data[:2] == b"\xff\xd8" else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">HH", data, place + 5)
            return rows, columns
        else:
            place += 2 + length
    return None


def _image(header: Any, path: Path, index: int, frames: int) -> DicomImage:
    groups = _FrameGroups(header, index)
    placed = frames == 1 or groups.present
    position = numbers(groups.of("PlanePositionSequence"), "ImagePositionPatient", 3)
    directions = numbers(groups.of("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = groups.of("PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing", 2)
    apart = numbers(measures, "SpacingBetweenSlices", 1) or numbers(measures, "SliceThickness", 1)
    patient = str(header.get("PatientID") or "").strip()
    return DicomImage(
        path,
        index,
        instance=str(header.get("SOPInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        series_number=int(header.get("SeriesNumber") or 0),
        number=int(header.get("InstanceNumber") or 0),
        patient=(patient, str(header.get("IssuerOfPatientID") or "")) if patient else None,
        size=(int(header.Rows), int(header.Columns)),
        rule=_rule(header, groups),
        position=(position[0], position[1], position[2]) if position and placed else None,
        directions=_directions(directions) if directions and placed else None,
        spacing=(spacing[0], spacing[1]) if spacing and min(spacing) > 0.0 else None,
        thickness=abs(apart[0]) if apart and apart[0] else None,
    )


class _FrameGroups:
    """The functional groups of one image of a file; of a file without them, its header itself."""

    def __init__(self, header: Any, index: int) -> None:
        shared = header.get("SharedFunctionalGroupsSequence") or []
        own = header.get("PerFrameFunctionalGroupsSequence") or []
        self.present = bool(shared or own)
        self._header = header
        self._items = [*own[index : index + 1], *shared[:1]]

    def of(self, name: str) -> Any:
        """Return the attributes of a group: a dataset, which is empty where there is none."""
        if not self.present:
            return self._header
        return next((item[name].value[0] for item in self._items if item.get(name)), {})


def _directions(cosines: tuple[float, ...]) -> tuple[Triple, Triple] | None:
    """Return the two directions, if they are unit vectors at a right angle, as far as rounding."""
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    products = np.array([row @ row, column @ column, row @ column])
    if np.abs(products - (1.0, 1.0, 0.0)).max() > _ROUNDING:
        return None
    return tuple(cosines[:3]), tuple(cosines[3:])  # type: ignore[return-value]


def _rule(header: Any, groups: _FrameGroups) -> ValueRule:
    """Return how the stored pixels of an image become values."""
    transformation, interest = (
        groups.of("PixelValueTransformationSequence"),
        groups.of("FrameVOILUTSequence"),
    )
    tables = header.get("ModalityLUTSequence")
    slope = numbers(transformation, "RescaleSlope", 1)
    intercept = numbers(transformation, "RescaleIntercept", 1)
    rescale = Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    signed = bool(header.get("PixelRepresentation"))
    padding = numbers(header, "PixelPaddingValue", 1)
    limit = numbers(header, "PixelPaddingRangeLimit", 1) or padding
    return ValueRule(
        _table(tables[0], signed)[0] if tables else rescale,
        _interest(interest, signed or rescale.intercept < 0.0),
        inverted=str(header.get("PhotometricInterpretation")) == "MONOCHROME1",
        padding=(
            (int(min(padding + limit)), int(max(padding + limit))) if padding and limit else None
        ),
    )


def _interest(attributes: Any, signed: bool) -> LookupTable | Window | None:
    """Return the first lookup table of values of interest, or else the first window."""
    if tables := attributes.get("VOILUTSequence"):
        table, highest = _table(tables[0], signed)
        return LookupTable(table.first, table.outputs / highest)
    center, width = (numbers(attributes, name, 1) for name in ("WindowCenter", "WindowWidth"))
    if not center or not width:
        return None
    stated = attributes.get("VOILUTFunction")
    function: WindowFunction = next((each for each in _FUNCTIONS if each == stated), "LINEAR")
    window = Window(center[0], width[0], function)
    return window if window.usable else None


def _table(item: Any, signed: bool) -> tuple[LookupTable, int]:
    """Return a lookup table (PS3.3 C.11.1.1), and the highest output that its bits allow."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    entries = entries or _MAX_TABLE
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if item.is_little_endian is not False else ">"
        data = np.frombuffer(data, f"{order}u2" if len(data) >= 2 * entries else "u1")
    outputs = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not 8 <= bits <= 16 or len(outputs) < entries:
        raise ValueError("a lookup table of fewer entries than it states")
    if signed and first >= 1 << 15:
        first -= 1 << 16
    return LookupTable(first, outputs), (1 << bits) - 1


def numbers(attributes: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return the first values of an attribute; None where it has not so many finite numbers."""
    value = attributes.get(name)
    if value is None:
        return None
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    found = tuple(float(each) for each in values[:count])
    return found if len(found) == count and np.isfinite(found).all() else None
