"""DICOM files made here: series, images of many frames, and objects that are no scans."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CT, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4.1"
NAME = "SECRET^PATIENT"


def image(stored: NDArray[np.int16], position: Iterable[float] | None = None, **fields: Any) -> Any:
    """Return a CT image, a `pydicom.Dataset`; None among the fields removes one."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.Modality = CT, "CT"
    made.SOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = (
        "1.2.3",
        "1.2.4",
        "1.5",
    )
    made.PatientName, made.PatientID = NAME, "SECRET17"
    made.Rows, made.Columns = stored.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept = 2, -1000
    made.ImageOrientationPatient, made.PixelSpacing, made.SliceThickness = (
        list(AXIAL),
        [0.5, 0.25],
        5,
    )
    if position is not None:
        made.ImagePositionPatient = [round(float(p), 6) for p in position]
    made.PixelData = stored.astype("<i2").tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def saved(made: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, voxels: NDArray[np.int16], **fields: Any) -> Path:
    """Write an axial series, its files in another order than its slices; return its folder."""
    for number, stored in enumerate(voxels):
        name = f"{(7 * number) % 101:03d}"
        made = image(stored, (-20.0, -30.0, 10.0 + 5.0 * number), InstanceNumber=1, **fields)
        saved(made, folder / name)
    return folder


def many_frames(voxels: NDArray[np.int16], heights: Sequence[float]) -> Any:
    """Return an enhanced MR image, frame i of which is at the height of its number."""
    from pydicom.dataset import Dataset

    def group(name: str, **fields: Any) -> Dataset:
        item, outer = Dataset(), Dataset()
        for key, value in fields.items():
            setattr(item, key, value)
        setattr(outer, name, [item])
        return outer

    made = image(voxels, SOPClassUID=ENHANCED_MR, Modality="MR", NumberOfFrames=len(voxels))
    for name in ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SliceThickness"):
        delattr(made, name)
    del made.ImageOrientationPatient
    shared = group("PlaneOrientationSequence", ImageOrientationPatient=list(AXIAL))
    shared.update(group("PixelMeasuresSequence", PixelSpacing=[0.5, 0.25], SliceThickness=5))
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number, height in enumerate(heights):
        own = group("PlanePositionSequence", ImagePositionPatient=[-20.0, -30.0, height])
        own.update(
            group("PixelValueTransformationSequence", RescaleSlope=number + 1, RescaleIntercept=0)
        )
        own.update(group("FrameVOILUTSequence", WindowCenter=50, WindowWidth=101))
        frames.append(own)
    made.PerFrameFunctionalGroupsSequence = frames
    return made
