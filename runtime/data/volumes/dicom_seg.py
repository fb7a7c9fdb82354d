"""DICOM segmentations (PS3.3 A.51): results that refer to the images they were made from."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError, OutputError
from runtime.core.extras import require
from runtime.core.files import replacing
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
) -> tuple[Path, ...]:
    """Write results of a volume of `read_dicom` as segmentations that refer to its images.

    BASE.probability.dcm is a fractional segmentation of 256 levels. Each image has a frame, also
    where nothing was found. Patient and study are those of the images, as the standard demands. If
    the volume states a patient, this one stands for both the name and the ID, and nothing else of
    patient and study is copied but the study's UID.

    Args:
        probability: float32 [slices, rows, columns] in [0, 1].
        threshold: also write BASE.mask.dcm, a binary segmentation of the voxels with at least this
            probability.
        base: path of the results, without endings.
        network: that made them.

    Returns:
        The written files.

    Raises:
        MissingExtraError: highdicom is not installed.
        ImageError: the header of an image cannot be read again.
        OutputError: a file cannot be written, or the images state no identity to refer to.
    """
    require("dicom", "highdicom")
    series = volume.origin
    assert isinstance(series, DicomSeries)
    sources = _sources(series, volume.spacing, volume.patient)
    stored = series.order.stored(probability)
    if len(sources) == 1:  # one file of many images, whose order may be another
        stored = stored[np.argsort([image.frame for image in series.images])]
    of_probability, of_mask = (base.with_name(base.name + ending) for ending in RESULT_ENDINGS)
    results: dict[Path, NDArray[Any]] = {of_probability: stored}
    if threshold is not None:
        results[of_mask] = stored >= threshold
    for path, frames in results.items():
        try:
            segmentation = _segmentation(sources, frames, network)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OutputError(
                f"{series.source}: the headers of its images do not allow a segmentation"
            ) from error
        with replacing(path) as temporary:
            segmentation.save_as(temporary)
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
    series: DicomSeries, spacing: tuple[float, float, float] | None, patient: str | None
) -> list[Any]:
    """Return the headers of the files of a series, `pydicom.Dataset`, in the images' order."""
    import pydicom

    sources: dict[Path, Any] = {}
    for image in series.images:
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
        raise OutputError(
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


def _segmentation(sources: Sequence[Any], frames: NDArray[Any], network: PredictedBy) -> Any:
    """Return frames [images, rows, columns] as a segmentation: booleans as a binary one.

    Of probabilities, highdicom would sort a copy of all to find the lowest and the highest. So it
    gets frames without a foreground, whose pixels are replaced.
    """
    import highdicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    binary = frames.dtype == np.bool
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
        pixel_array=frames if binary else np.broadcast_to(np.False_, frames.shape),
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
    )
    if not binary:
        _replace_pixels(segmentation, sources, frames)
    if "PlanePositionSequence" not in segmentation.PerFrameFunctionalGroupsSequence[0]:
        segmentation.PatientOrientation = None  # must be there, if empty, where no place is known
    return segmentation


def _replace_pixels(
    segmentation: Any, sources: Sequence[Any], probability: NDArray[np.float32]
) -> None:
    """Set the pixels of a fractional segmentation: 255 levels above none, rounded.

    Args:
        probability: float32 [images, rows, columns] in [0, 1], in the order of the sources; of one
            source, in the order of its frames.
    """
    instances = {source.SOPInstanceUID: index for index, source in enumerate(sources)}
    segmentation.PixelData = b""  # those without a foreground, before the others need the memory
    levels = bytearray()
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        of_file = int(image.get("ReferencedFrameNumber", 1)) - 1
        index = instances[image.ReferencedSOPInstanceUID] if len(sources) > 1 else of_file
        levels += np.rint(probability[index] * np.float32(255.0)).astype(np.uint8).tobytes()
        release_pages(probability)
    levels += bytes(len(levels) % 2)
    segmentation.PixelData = bytes(levels)
