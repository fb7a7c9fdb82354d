"""The findings of a study: a plain sentence for each question, with the numbers behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.study.config import PAIR, StudyConfig
from bench.study.evidence import Hypothesis, Verdict, best_baseline
from bench.study.result import Leak, SplitResult, StudyResult
from runtime.scoring.trainings import MIN_TRAININGS

_BASELINES = {
    "all background": "predicting no foreground",
    "mean training mask": "predicting the mean training mask",
    "nearest training image": "copying the mask of the most similar training image",
}
_BETTER: Mapping[Verdict, str] = {
    "supported": "the pretrained network is better than the one trained from scratch",
    "not supported": "the network trained from scratch is better than the pretrained one",
    "undecided": "neither of the two networks is shown to be better",
}
_BEATEN: Mapping[Verdict, str] = {
    "supported": "both networks beat {}",
    "not supported": "a network does not reach {}",
    "undecided": "it is undecided whether both networks beat {}",
}
_COPY = "nearest training image"
"""The baseline that near copies help most."""
_TIMES = {1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A question of the study.

    Attributes:
        answer: a plain sentence.
        numbers: the evidence, in further sentences.
    """

    question: str
    answer: str
    numbers: str


def study_findings(result: StudyResult) -> tuple[Finding, ...]:
    """Return the findings of a study, as far as its networks and splits answer the questions."""
    found = [_transfer(result), _baselines(result), _leaks(result), _training(result)]
    return tuple(finding for finding in [*found, _cost(result)] if finding is not None)


def coverage_text(config: StudyConfig) -> str:
    """Return what the intervals of a study cover, in words.

    Example:
        >>> coverage_text(StudyConfig("scans", seeds=3)).split(".")[0]
        'Each network was trained 3 times, with the seeds 0 to 2'
    """
    if config.seeds >= MIN_TRAININGS:
        return (
            f"Each network was trained {config.seeds} times, with the seeds {config.seed} to "
            f"{config.seed + config.seeds - 1}. Intervals cover the choice of test images and "
            "another training."
        )
    return (
        f"Each network was trained only {_TIMES[config.seeds]}. Intervals cover the choice of test "
        "images, not another training, so no hypothesis is decided: that needs "
        f"{MIN_TRAININGS} trainings."
    )


def _new_patients(result: StudyResult) -> SplitResult:
    """Return the split that tells most of new patients: the grouped one, if it was studied."""
    return result.split("grouped") or result.splits[0]


def _place(split: SplitResult, result: StudyResult) -> str:
    """Return which images a split measures on, in words."""
    if split.kind == "original":
        return "on the original split"
    known = result.audit.knows_every_patient
    return "on new patients" if known else "on images without near copies in training"


def _transfer(result: StudyResult) -> Finding | None:
    split = _new_patients(result)
    hypothesis = split.hypothesis("transfer")
    if hypothesis is None:
        return None
    answer = _sentence(f"{_place(split, result)}, {_BETTER[hypothesis.verdict]}")
    return Finding("Which network is better?", _too_few(hypothesis) or answer, hypothesis.reason)


def _baselines(result: StudyResult) -> Finding | None:
    places: dict[str, list[str]] = {}
    numbers, too_few = [], None
    for split in reversed(result.splits):
        hypothesis = split.hypothesis("baselines")
        if hypothesis is None:
            return None
        baseline = _BASELINES[best_baseline(split.baselines).name]
        found = _BEATEN[hypothesis.verdict].format(baseline)
        too_few = _too_few(hypothesis)
        place = _place(split, result)
        places.setdefault(found, []).append(place)
        numbers.append(f"{_sentence(place)[:-1]}: {hypothesis.reason}")
    sentences = [_sentence(f"{' and '.join(where)}, {found}") for found, where in places.items()]
    question = "Do they beat predictions that need no network?"
    return Finding(question, too_few or " ".join(sentences), " ".join(numbers))


def _leaks(result: StudyResult) -> Finding | None:
    original = result.split("original")
    if original is None or not result.leaks:
        return None
    names = [n.network for n in original.networks if n.trained]
    names += [best_baseline(original.baselines).name, _COPY]
    lost = [leak for leak in result.leaks if leak.network in names and leak.original]
    changes = _listed([_change(leak) for leak in lost])
    answer = f"Without near copies in training, soft IoU changes by {changes}."
    if not result.audit.crossing:
        answer = (
            "No near copies were found between the splits, so none were removed. With other test "
            f"images, on the grouped split, soft IoU changes by {changes}."
        )
    numbers = "; ".join(
        f"{leak.network} {leak.original:.3f} to {leak.grouped:.3f}, lost {leak.lost.value:+.3f} "
        f"[{leak.lost.low:+.3f}, {leak.lost.high:+.3f}]"
        for leak in lost
    )
    return Finding("How much of the score comes from leaks?", answer, f"Soft IoU: {numbers}.")


def _training(result: StudyResult) -> Finding | None:
    question = "Would another training change the answer?"
    if result.config.seeds < MIN_TRAININGS:
        return Finding(question, coverage_text(result.config), "")
    split = _new_patients(result)
    soft = [row for row in split.variance if row.reading == "soft"]
    spread = max(
        (row for row in soft if row.name in result.config.trained),
        key=lambda row: row.parts.between,
    )
    names = " \N{MINUS SIGN} ".join(reversed(PAIR))
    pair = next((row for row in soft if row.name == names), spread)
    share = pair.parts.training_share
    of = "the difference of the two networks" if pair.name == names else pair.name
    answer = _sentence(
        f"{_place(split, result)}, training accounts for {100 * share:.0f} % of the uncertainty of "
        f"{of}; the choice of test images accounts for the rest"
    )
    numbers = (
        f"Between trainings, the mean soft IoU of {spread.name} varies most: standard deviation "
        f"{spread.parts.between:.3f}."
    )
    return Finding(question, answer, numbers)


def _cost(result: StudyResult) -> Finding | None:
    split = result.splits[0]
    if not set(PAIR) <= {network.network for network in split.networks}:
        return None
    one, other = (split.network(name) for name in PAIR)
    parameters = other.first.file.parameters / one.first.file.parameters
    times = other.latency.p50_ms / one.latency.p50_ms
    answer = (
        f"{other.network} has {parameters:.1f} times the parameters of {one.network}, and takes "
        f"{times:.1f} times as long for an image."
    )
    numbers = f"Median latency {one.latency.p50_ms:.1f} and {other.latency.p50_ms:.1f} ms."
    kind = "pretrained" if result.config.pretrained else "untrained"
    return Finding(f"What does the {kind} encoder cost?", answer, numbers)


def _change(leak: Leak) -> str:
    change = f"{100 * (leak.grouped / leak.original - 1):+.0f} %".replace("-", "\N{MINUS SIGN}")
    certain = "" if leak.lost.excludes_zero else ", not significant"
    return f"{change} ({leak.network}{certain})"


def _too_few(hypothesis: Hypothesis) -> str | None:
    """Return the answer where the trainings are too few for another one; else None."""
    if hypothesis.trainings >= MIN_TRAININGS:
        return None
    return f"Undecided: each network was trained only {_TIMES[hypothesis.trainings]}."


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
