"""DICOM segmentations (PS3.3 A.51): results that refer to the images they were made from."""

import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError, reason_of
from runtime.core.extras import require
from runtime.core.files import replacing
from runtime.core.progress import ProgressCallback, report_progress
from runtime.core.version import __version__
from runtime.data.volumes.dicom_files import opened, read_header
from runtime.data.volumes.dicom_labels import SEGMENTATION
from runtime.data.volumes.dicom_series import RESULT_ENDINGS, DicomSeries
from runtime.data.volumes.mapped import release_pages
from runtime.data.volumes.volume import PredictedBy, Volume

MAKER = "seg-toolkit"
"""The manufacturer of a written file, by which it is known as a result."""
SERIES_NUMBER = 1000
"""Of the written series: far from those of scanners, which count from 1."""
_STATED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Attributes without which nothing can refer to an image."""
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_OF_EACH = (
    *(*_STATED, "Modality", "FrameOfReferenceUID", "Rows", "Columns", "NumberOfFrames"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("SpacingBetweenSlices", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "ImageType"),
)
"""Attributes that are needed of each image; of the first one, all are that are to be copied."""


def write_dicom(
    volume: Volume,
    probability: NDArray[np.float32],
    threshold: float | None,
    base: Path,
    network: PredictedBy,
    on_progress: ProgressCallback | None = None,
) -> tuple[Path, ...]:
    """Write results of a volume of `read_dicom` as segmentations that refer to its images.

    BASE.probability.dcm is a fractional segmentation of 256 levels. Each image has a frame, also
    where nothing was found. Patient and study are those of the images, as the standard demands. If
    the volume states a patient, this one stands for both the name and the ID, and nothing else of
    patient and study is copied but the study's UID.

    Memory holds the headers of the images, and one frame of pixels at a time.

    Args:
        probability: float32 [slices, rows, columns] in [0, 1].
        threshold: also write BASE.mask.dcm, a binary segmentation of the voxels with at least this
            probability.
        base: path of the results, without endings.
        network: that made them.
        on_progress: called after each header that is read again, in the phase "headers", and after
            each frame that is written, in the phase "write".

    Returns:
        The written files.

    Raises:
        MissingExtraError: highdicom is not installed.
        ImageError: the header of an image cannot be read again, or lacks what results refer to.
        OutputError: a file cannot be written.
    """
    require("dicom", "highdicom")
    series = volume.origin
    assert isinstance(series, DicomSeries)
    sources = _sources(series, volume.spacing, volume.patient, on_progress)
    stored = series.order.stored(probability)
    of_probability, of_mask = (base.with_name(base.name + ending) for ending in RESULT_ENDINGS)
    results: dict[Path, float | None] = {of_probability: None}
    if threshold is not None:
        results[of_mask] = threshold
    for path, least in results.items():
        try:
            segmentation = _empty_segmentation(sources, stored.shape, network, least is not None)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ImageError(
                f"{series.source}: the headers of its images do not allow a segmentation: "
                f"{reason_of(error)}"
            ) from error
        order = _frame_order(segmentation, series, sources)
        with replacing(path) as temporary, tempfile.TemporaryFile() as pixels:
            for done, frame in enumerate(_encoded(stored, order, least), start=1):
                pixels.write(frame)
                report_progress(on_progress, "write", done, len(order))
            _save(segmentation, pixels, temporary)
    return tuple(results)


def is_dicom_result(path: Path) -> bool:
    """Return whether a file was written by `write_dicom`; False where it cannot be read."""
    if not path.is_file() or find_spec("pydicom") is None:
        return False
    try:
        with opened(path) as file:
            header = read_header(file, path, ("SOPClassUID", "Manufacturer"))
            return (header.get("SOPClassUID"), header.get("Manufacturer")) == (SEGMENTATION, MAKER)
    except ImageError:
        return False


def _sources(
    series: DicomSeries,
    spacing: tuple[float, float, float] | None,
    patient: str | None,
    on_progress: ProgressCallback | None,
) -> list[Any]:
    """Return the headers of the files of a series, `pydicom.Dataset`, in the images' order."""
    import pydicom

    sources: dict[Path, Any] = {}
    for done, image in enumerate(series.images, start=1):
        report_progress(on_progress, "headers", done, len(series.images))
        if image.path in sources:
            continue
        attributes = list(_OF_EACH) if sources or patient is not None else None
        with opened(image.path) as file:
            sources[image.path] = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=attributes
            )
    headers = list(sources.values())
    located = any(header.get("ImagePositionPatient") for header in headers)
    needed = (*_STATED, *(("FrameOfReferenceUID",) if located else ()))
    missing = [name for name in needed if any(not header.get(name) for header in headers)]
    if missing:
        raise ImageError(
            f"{series.source}: no segmentation can refer to its images, which state no {missing[0]}"
        )
    if patient is not None:
        headers[0].PatientName = headers[0].PatientID = patient
    for name in _MAY_BE_EMPTY:
        if name not in headers[0]:
            setattr(headers[0], name, "")
    for header in headers:
        if "PixelSpacing" in header and not header.get("SliceThickness"):
            # A segmentation states both or neither.
            if spacing is None:
                del header.PixelSpacing
            else:
                header.SliceThickness = round(spacing[0], 6)
    return headers


def _empty_segmentation(
    sources: Sequence[Any], shape: tuple[int, ...], network: PredictedBy, binary: bool
) -> Any:
    """Return a segmentation without foreground, whose frames have the order that highdicom gives.

    highdicom holds all pixels several times, and sorts those of probabilities. So it gets frames of
    background, and of probabilities packs them; `_save` puts the pixels in their place.

    Args:
        shape: images, rows and columns.
    """
    import highdicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    description = SegmentDescription(
        segment_number=1,
        segment_label=network.label[:64],
        # What the foreground is, a network does not state in codes: the most general ones.
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=network.name[:64],
            version=network.digest[:64],
            family=codes.DCM.ArtificialIntelligence,
        ),
    )
    segmentation = Segmentation(
        source_images=sources,
        pixel_array=np.broadcast_to(np.False_, shape),
        segmentation_type="BINARY" if binary else "FRACTIONAL",
        segment_descriptions=[description],
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number=network.digest[:12],
        omit_empty_frames=False,
        content_label="MASK" if binary else "PROBABILITY",
        series_description="Segmentation, " + ("mask" if binary else "probability"),
        transfer_syntax_uid=ExplicitVRLittleEndian if binary else RLELossless,
    )
    del segmentation.PixelData
    if "PlanePositionSequence" not in segmentation.PerFrameFunctionalGroupsSequence[0]:
        segmentation.PatientOrientation = None  # must be there, if empty, where no place is known
    return segmentation


def _frame_order(segmentation: Any, series: DicomSeries, sources: Sequence[Any]) -> list[int]:
    """Return the number of the image in the series that each frame refers to."""
    several = len(sources) > 1
    numbers = {
        each.instance if several else each.frame: number
        for number, each in enumerate(series.images)
    }
    order = []
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        of_file = int(image.get("ReferencedFrameNumber", 1)) - 1
        order.append(numbers[image.ReferencedSOPInstanceUID if several else of_file])
    return order


def _encoded(
    stored: NDArray[np.float32], order: Sequence[int], least: float | None
) -> Iterator[bytes]:
    """Yield the pixels of each frame, of an even number of bytes in all.

    Args:
        stored: probabilities [images, rows, columns] in [0, 1].
        order: the image of each frame.
        least: probability of a mask, whose bits follow each other without a gap between frames;
            None for probabilities, which become 255 levels above none, rounded.
    """
    rest = np.empty(0, np.bool)
    size = 0
    for number, index in enumerate(order, start=1):
        if least is None:
            levels = np.rint(stored[index] * np.float32(255.0)).astype(np.uint8)
        else:
            bits = np.concatenate([rest, (stored[index] >= least).ravel()])
            whole = len(bits) if number == len(order) else len(bits) // 8 * 8
            levels, rest = np.packbits(bits[:whole], bitorder="little"), bits[whole:]
        release_pages(stored)
        size += levels.size
        yield levels.tobytes() + bytes(size % 2 if number == len(order) else 0)


def _save(segmentation: Any, pixels: IO[bytes], path: Path) -> None:
    """Write a segmentation with pixels that are in a file, which are not compressed."""
    from pydicom.uid import ExplicitVRLittleEndian

    pixels.seek(0)
    segmentation.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    segmentation.PixelData = pixels
    segmentation.save_as(path)
