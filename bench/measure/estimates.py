"""How long the phases of a measurement will take, from its settings and what is measured so far."""

from collections.abc import Sequence
from statistics import median

from bench.measure.partial_result import PartialResult
from bench.measure.settings import MeasurementSettings
from runtime.core.errors import DataError
from runtime.data.coco import read_dataset

INSPECTION, STARTUP, MEMORY, LATENCY = "inspection", "start-up", "memory", "latency"
STAGES, ACCURACY = "stages", "accuracy"
_START_S = 2.0
"""The start of a process on a common machine, until it is measured."""
_IMAGE_S = 0.05
"""A prediction on a common machine, until it is measured."""
_ROUNDS = 1.5
"""Rounds beyond the time of a rule: one that does not count, and half of the last one."""


def throughput(batch: int) -> str:
    """Return the name of the phase that times a batch size."""
    return f"throughput at batch {batch}"


def expected_seconds(
    files: Sequence[PartialResult], settings: MeasurementSettings, images: int
) -> dict[str, float]:
    """Return the expected seconds of each phase, in order.

    Timed phases are expected to take all of their time, as they do on a machine with other load.
    Each timed run follows an untimed one.

    Args:
        files: what is known of each file.
        images: number of images to score, 0 for none (`count_images`).
    """
    number = len(files)
    starts = [median(file.startups) if file.startups else _START_S for file in files]
    image_s = sum(_image_seconds(file) for file in files)
    seconds = settings.rule.max_seconds
    return {
        INSPECTION: number * _START_S,
        STARTUP: (1 + settings.startups) * sum(starts),
        MEMORY: 2 * sum(starts),
        # All processes start first, and the matrix product is timed too.
        LATENCY: sum(starts) + (number + 1) * seconds + _ROUNDS * 2 * image_s,
        STAGES: settings.stage_runs * 2 * image_s,
        **{
            throughput(batch): number * seconds / 2 + _ROUNDS * 2 * batch * image_s
            for batch in settings.batch_sizes
        },
        ACCURACY: images * image_s + sum(starts) if images else 0.0,
    }


def _image_seconds(file: PartialResult) -> float:
    """Return the seconds of a prediction: of the timed runs, or of the first ones before them."""
    times = file.samples(1).tolist() or file.first_predictions
    return median(times) if times else _IMAGE_S


def count_images(settings: MeasurementSettings) -> int:
    """Return the number of images to score; 0 also where the data set cannot be read.

    Each file states that as its failure.
    """
    scoring = settings.scoring
    if scoring is None:
        return 0
    try:
        return len(read_dataset(scoring.data).split(scoring.split).samples)
    except DataError:
        return 0
