"""The images of a DICOM file, as its header states them: checked, and not yet decoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

import runtime.data.images
from runtime.core.errors import ImageError, printable
from runtime.core.extras import require
from runtime.data.volumes.dicom_files import class_name, class_of, opened, read_header
from runtime.data.volumes.dicom_rules import numbers, value_rule
from runtime.data.volumes.dicom_values import ValueRule

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
MODALITIES = frozenset(
    (
        *("BI", "BMD", "CR", "CT", "DG", "DMS", "DX", "EPS", "ES", "GM", "IO", "IVOCT", "IVUS"),
        *("LEN", "LP", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF"),
        *("OPV", "OSS", "OT", "PT", "PX", "RF", "RG", "RTIMAGE", "SM", "ST", "TG", "US", "VA"),
        *("XA", "XC"),
    )
)
"""Of images, in the standard's terms (PS3.3 C.7.3.1.1.1): no other text of a header is repeated."""
_LEAST_ENCODED = 8
_ROUNDING = 1e-3
_EXTENDED = "1.2.840.10008.1.2.4.51"
"""JPEG Extended, of which Pillow decodes 8 bits."""
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
"""The tag of Pixel Data in both byte orders."""
_ATTRIBUTES = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"),
    *("Modality", "PatientID", "IssuerOfPatientID", "SamplesPerPixel", "PhotometricInterpretation"),
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
        modality: in the standard's terms, such as "MR"; None where it states no such term.
        size: rows and columns.
        rule: how stored pixels become values.
        compressed: whether the stored pixels are.
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
    modality: str | None = None
    compressed: bool = False
    position: Triple | None = None
    directions: tuple[Triple, Triple] | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None


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
        if class_of(header) in NO_SCANS or not (header.get("Rows") and header.get("Columns")):
            return ()
        length = _pixel_bytes(file, header, path)
        frames = _checked_frames(header, path, length, path.stat().st_size - file.tell())
        return tuple(_image(header, path, index, frames) for index in range(frames))


def _pixel_bytes(file: IO[bytes], header: Any, path: Path) -> int:
    """Return the length that the element of the pixels states, and leave the file behind it."""
    if file.read(4) not in _PIXEL_DATA:
        raise ImageError(f"{path}: {class_name(class_of(header))} without pixel data")
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
        images = "1 image" if frames == 1 else f"{frames} images"
        raise ImageError(
            f"{path}: truncated, or its header is wrong: it states {images} of {columns}x{rows} "
            f"pixels of {bits} bits, and has {min(length, room)} bytes of them"
        )
    return frames


def _decodes(syntax: Any, bits: int) -> bool:
    """Return whether there is a decoder for pixels of so many bits."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return get_decoder(syntax).is_available and (syntax != _EXTENDED or bits == 8)
    except NotImplementedError:
        return False


def _image(header: Any, path: Path, index: int, frames: int) -> DicomImage:
    groups = _FrameGroups(header, index)
    placed = frames == 1 or groups.present
    position = numbers(groups.of("PlanePositionSequence"), "ImagePositionPatient", 3)
    directions = numbers(groups.of("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = groups.of("PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing", 2)
    apart = numbers(measures, "SpacingBetweenSlices", 1) or numbers(measures, "SliceThickness", 1)
    patient = str(header.get("PatientID") or "").strip()
    modality = str(header.get("Modality") or "").strip()
    return DicomImage(
        path,
        index,
        instance=str(header.get("SOPInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        series_number=int(header.get("SeriesNumber") or 0),
        number=int(header.get("InstanceNumber") or 0),
        patient=(patient, str(header.get("IssuerOfPatientID") or "")) if patient else None,
        size=(int(header.Rows), int(header.Columns)),
        rule=value_rule(
            header,
            groups.of("PixelValueTransformationSequence"),
            groups.of("FrameVOILUTSequence"),
        ),
        modality=modality if modality in MODALITIES else None,
        compressed=header.file_meta.TransferSyntaxUID.is_encapsulated,
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
