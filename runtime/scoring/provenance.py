"""A check that a network was trained on the data set it is scored on."""

from collections.abc import Sequence

from runtime.data.coco import Dataset, manifest_sha256
from runtime.model.metadata import Metadata
from runtime.model.onnx_file import OnnxFile

_TRAINED_ON = ("train", "valid")


def foreign_training(files: Sequence[OnnxFile], dataset: Dataset) -> tuple[str, ...]:
    """Return a sentence for each file that was trained on another data set.

    The images it is scored on may then be among its training images, for example after a data set
    was split again. Files without information on their training are ignored.

    Raises:
        AnnotationError, ImageError: a file of the data set cannot be read.
    """
    stated = [(file, _training(file.metadata)) for file in files if file.metadata is not None]
    if not any(known for _, known in stated) or not set(_TRAINED_ON) <= dataset.splits.keys():
        return ()
    here = manifest_sha256(dataset.split(name) for name in _TRAINED_ON)
    return tuple(
        f"{file.path.name} was trained on {' and '.join(sorted(set(known.values())))}, not on the "
        "train and valid splits of this data set: the scores may include its training images."
        for file, known in stated
        if known.keys() - {here}
    )


def _training(metadata: Metadata) -> dict[str, str]:
    """Return the training data's names by fingerprint, of a network or an ensemble's members."""
    found = [metadata.training, *(member.training for member in metadata.members)]
    return {training.data_sha256: training.data_name for training in found if training is not None}
