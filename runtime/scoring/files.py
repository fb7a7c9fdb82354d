"""Evaluation of ONNX files on a data set, with baselines and comparisons."""

from collections.abc import Sequence
from pathlib import Path

from runtime.core.progress import ProgressCallback
from runtime.core.settings import MaskChoice, Resize
from runtime.data.coco import Dataset
from runtime.data.orientation import Size
from runtime.model.providers import CPU, ProviderRequest
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation_run import EvaluationSettings, open_evaluation
from runtime.scoring.merging import merge
from runtime.scoring.results import EvaluationReport


def evaluate_files(
    models: Sequence[str | Path],
    data: str | Path | Dataset,
    *,
    split: str = "test",
    masks: MaskChoice = "auto",
    categories: Sequence[str] = (),
    size: Size | None = None,
    resize: Resize | None = None,
    batch_size: int = 1,
    baselines: bool = True,
    clinical: ClinicalConfig | None = None,
    intensity: int | None = None,
    verify: bool = True,
    skip_unreadable: bool = False,
    threads: int | None = None,
    provider: str | ProviderRequest = CPU,
    on_progress: ProgressCallback | None = None,
) -> EvaluationReport:
    """Score ONNX files and baselines on a split, and compare each pair of files.

    Confidence intervals draw groups of similar images, or else patients, where the data set states
    one for each image.
    The report states what masks are drawn from and which annotations were dropped or clipped. It
    names files that were trained on other data than this data set's train and valid splits.
    Files of different input sizes are scored, but not compared, and the report says so.

    Args:
        models: paths of the files.
        data: the folder of a COCO data set, or the data set.
        split: name of the split to score on.
        masks: draw the target masks from "boxes" or "segmentation"; "auto" is what the files were
            trained on, or else what the split's annotations allow (`choose_targets`).
        categories: names of the categories that are foreground; by default those that the files
            were trained on, or all.
        size: (height, width) of the networks' input; by default as stated in each file.
        batch_size: images computed at once; the scores do not depend on it.
        baselines: score the baselines too, at each input size, if there is a split "train".
        clinical: the scores to add, which need SciPy; by default none.
        resize, intensity, verify: as for `Predictor`.
        skip_unreadable: skip images that cannot be read, instead of raising an error.
        threads: number of threads; by default the cores this process may use.
        provider: that computes the networks, as for `Predictor`.
        on_progress: called after each image, with the phase "read test" (the split), "read train"
            or the name of the file that is scored.

    Raises:
        ModelError: a file cannot be run.
        ConfigError: a setting is out of range.
        DataError: the data set cannot be used, or no image can be read.
        ImageError, AnnotationError: an image cannot be read, without `skip_unreadable`.
    """
    settings = EvaluationSettings(
        split=split,
        masks=masks,
        categories=tuple(categories),
        size=size,
        resize=resize,
        batch_size=batch_size,
        baselines=baselines,
        clinical=clinical or ClinicalConfig(),
        intensity=intensity,
        verify=verify,
        skip_unreadable=skip_unreadable,
        threads=threads,
        provider=provider,
    )
    run = open_evaluation(models, data, settings, on_progress)
    return merge([(str(run.dataset.root), run.part(0, run.images, on_progress))])
