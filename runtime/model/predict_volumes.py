"""Predicting a volume's file, and writing its results on the file's own grid."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.core.errors import DataWarning
from runtime.core.progress import ProgressCallback
from runtime.data.orientation import Size
from runtime.data.volumes.formats import VolumeFormat
from runtime.data.volumes.gray import gray_slices
from runtime.data.volumes.mapped import release_pages
from runtime.data.volumes.spec import VolumeSpec
from runtime.data.volumes.volume import PredictedBy, Volume
from runtime.metrics import THRESHOLD
from runtime.model.montage import draw_montage
from runtime.model.overlay import write_picture
from runtime.model.predictor import Predictor
from runtime.model.volumes import predict_volume, volume_rule


@dataclass(frozen=True, slots=True)
class VolumeResult:
    """The results of a volume.

    Attributes:
        files: the probability volume, and the mask where there is a threshold.
        overlay: a picture of several slices.
        highest: the highest probability.
        area: number of voxels of at least the threshold, or 0.5 without one.
        voxels: number of all voxels.
        milliliters: volume of `area`; None where the spacing is unknown.
        size: (rows, columns) of a slice.
    """

    files: tuple[Path, ...]
    overlay: Path
    highest: float
    area: int
    voxels: int
    milliliters: float | None
    size: Size


def predict_volume_file(
    predictor: Predictor,
    path: Path,
    form: VolumeFormat,
    base: Path,
    *,
    threshold: float | None = None,
    number: int | None = None,
    patient: str | None = None,
    on_progress: ProgressCallback | None = None,
) -> VolumeResult:
    """Predict a volume slice by slice, and write its results on the grid of its file.

    Args:
        base: path of the results without endings.
        threshold: also write a mask of the voxels of at least this probability.
        number: of a file of several volumes, from 1.
        patient: that results state in place of the file's.
        on_progress: called after each header, in the phase "headers", after each slice that is read
            for percentiles, in the phase "read", after each predicted slice, in the phase
            "predict", and after each written one, in the phase "write".

    Raises:
        ImageError: the file cannot be read.
        ModelError: the network cannot be run.
        OutputError: a result cannot be written.
    """
    stated = volume_rule(predictor)
    spec = stated or form.rule
    volume = form.read(path, None if stated is None else stated.plane, number, on_progress)
    _compare_modality(volume, spec)
    gray = gray_slices(volume, spec, on_progress)
    probability = predict_volume(predictor, volume, gray, on_progress)
    highest, area = 0.0, 0
    for each in probability:
        highest = max(highest, float(each.max()))
        area += int((each >= (THRESHOLD if threshold is None else threshold)).sum())
        release_pages(probability)
    montage = draw_montage(volume, gray, probability)
    of_whom = replace(volume, patient=patient)
    network = _predicted_by(predictor)
    files = form.write(of_whom, probability, threshold, base, network, on_progress)
    overlay = base.with_name(f"{base.name}.overlay.png")
    write_picture(overlay, montage)
    slices, rows, columns = volume.shape
    milliliters = None
    if volume.spacing is not None:
        milliliters = area * volume.spacing[0] * volume.spacing[1] * volume.spacing[2] / 1000.0
    voxels = slices * rows * columns
    return VolumeResult(files, overlay, highest, area, voxels, milliliters, (rows, columns))


def _compare_modality(volume: Volume, spec: VolumeSpec) -> None:
    """Warn of a volume whose modality is none of those that the network was trained on."""
    known = spec.modalities
    if known and volume.modality is not None and volume.modality not in known:
        text = f"{volume.source}: of modality {volume.modality}, but the network was trained on "
        warnings.warn(text + ", ".join(known), DataWarning, stacklevel=2)


def _predicted_by(predictor: Predictor) -> PredictedBy:
    """Return the network as results name it; its foreground by the categories of its training."""
    metadata = predictor.metadata
    training = None if metadata is None else metadata.training
    label = ", ".join(training.categories) if training is not None else ""
    return PredictedBy(predictor.file.path.name, predictor.file.digest, label or "foreground")
