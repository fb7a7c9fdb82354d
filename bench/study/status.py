"""The status of a study, done and left; read while it runs, or after it was stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.study.config import Run, StudyConfig
from bench.training import epoch_seconds
from runtime.core.progress import duration_text

STEPS = "steps"
"""The folder of finished steps within that of the study."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A training of a study, and how far it is.

    Attributes:
        seconds: that each finished epoch took.
        epochs: number of epochs of the whole training.
        exported, scored: whether its file, and its scores on the test images, are there.
    """

    run: Run
    seconds: tuple[float, ...]
    epochs: int
    exported: bool
    scored: bool

    @property
    def trained(self) -> bool:
        """True if all epochs are finished."""
        return len(self.seconds) >= self.epochs


def study_status(config: StudyConfig, folder: str | Path) -> tuple[RunStatus, ...]:
    """Return how far every training of a study is, in the order in which they are carried out."""
    out = Path(folder)
    found = []
    for run in config.runs:
        settings = config.training(run.network, config.data, run.seed)
        place = out / run.folder / settings.name
        found.append(
            RunStatus(
                run,
                tuple(epoch_seconds(place)),
                settings.epochs,
                exported=place.with_name(f"{settings.name}.onnx").is_file(),
                scored=(out / STEPS / f"evaluate-{run.step}.json").is_file(),
            )
        )
    return tuple(found)


def other_runs(config: StudyConfig, folder: str | Path) -> tuple[str, ...]:
    """Return the names of runs in the folder of a study that are not of its settings."""
    out = Path(folder)
    own = {config.training(run.network, config.data, run.seed).name for run in config.runs}
    folders = {run.folder for run in config.runs}
    found = {place.name for each in folders for place in (out / each).glob("*/")}
    return tuple(sorted(found - own))


def status_table(status: Sequence[RunStatus]) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Return a row for each training, for `runtime.cli.display.table`."""
    header = ("split", "seed", "network", "epochs", "of", "exported", "scored")
    words = {True: "yes", False: "no"}
    return header, [
        (
            each.run.kind,
            each.run.seed,
            each.run.network,
            len(each.seconds),
            each.epochs,
            words[each.exported],
            words[each.scored],
        )
        for each in status
    ]


def status_sentence(status: Sequence[RunStatus]) -> str:
    """Return how many trainings are finished, and about how long the others take.

    Example:
        >>> half = RunStatus(Run("scratch", "original", 0), (60.0,), 2, False, False)
        >>> status_sentence([half])
        'Finished: 0 of 1 trainings; training takes about 60 s more.'
    """
    finished = sum(each.trained for each in status)
    start = f"Finished: {finished} of {len(status)} trainings"
    left = seconds_left(status)
    if finished == len(status):
        return f"{start}."
    if left is None:
        return f"{start}; how long the others take is known after an epoch of each network."
    return f"{start}; training takes about {duration_text(left)} more."


def seconds_left(status: Sequence[RunStatus]) -> float | None:
    """Return the seconds that the epochs left take, by those of the same network so far.

    None where a network has not finished an epoch yet.
    """
    total = 0.0
    for network in {each.run.network for each in status}:
        own = [each for each in status if each.run.network == network]
        spent = [seconds for each in own for seconds in each.seconds]
        epochs = sum(each.epochs - len(each.seconds) for each in own)
        if epochs and not spent:
            return None
        total += epochs * fmean(spent) if epochs else 0.0
    return total
