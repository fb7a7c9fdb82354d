"""Each question has a plain answer that follows from the verdicts."""

import re
from dataclasses import replace

import pytest

from bench.study.evidence import Hypothesis, Subject, Verdict
from bench.study.findings import coverage_text, study_findings
from bench.study.result import StudyResult
from bench.study.variance import Variance
from runtime.scoring.intervals import Interval
from runtime.scoring.trainings import VarianceParts
from tests.support.study_fixture import Finished

Verdicts = dict[str, tuple[Verdict, Verdict]]
"""On baselines and on transfer, by the kind of split."""


def both(baselines: Verdict) -> Verdicts:
    """The same verdict on baselines on both splits, and none on transfer."""
    return dict.fromkeys(("original", "grouped"), (baselines, "undecided"))


def with_verdicts(result: StudyResult, verdicts: Verdicts, trainings: int) -> StudyResult:
    """The result with these verdicts on baselines and transfer, by split."""
    subjects: tuple[Subject, Subject] = ("baselines", "transfer")
    splits = tuple(
        replace(
            split,
            hypotheses=tuple(
                Hypothesis(
                    subject, "claim", verdict, f"Numbers of {subject}, {split.kind}.", trainings
                )
                for subject, verdict in zip(subjects, verdicts[split.kind], strict=True)
            ),
            variance=(
                Variance("scratch", "soft", (0.3, 0.4, 0.5), VarianceParts(3, 0.1, 0.03, 0.04)),
            ),
        )
        for split in result.splits
    )
    return replace(result, splits=splits, config=replace(result.config, seeds=trainings))


def answers(result: StudyResult) -> dict[str, str]:
    return {finding.question: finding.answer for finding in study_findings(result)}


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("supported", "On new patients, the pretrained network is better than the one trained "
         "from scratch."),
        ("not supported", "On new patients, the network trained from scratch is better than the "
         "pretrained one."),
        ("undecided", "On new patients, neither of the two networks is shown to be better."),
    ],
)  # fmt: skip
def test_the_grouped_split_tells_which_network_is_better(
    finished: Finished, verdict: Verdict, sentence: str
) -> None:
    verdicts: Verdicts = {
        "original": ("undecided", "undecided"), "grouped": ("supported", verdict)
    }  # fmt: skip
    result = with_verdicts(finished.result, verdicts, 3)
    first = study_findings(result)[0]
    assert first.answer == sentence
    assert first.numbers == "Numbers of transfer, grouped."


def test_new_patients_are_claimed_only_where_the_patient_of_every_image_is_known(
    finished: Finished,
) -> None:
    result = with_verdicts(finished.result, both("supported"), 3)
    audit = result.audit
    question = "Which network is better?"
    for known, start in (
        (audit.images, "On new patients, "),
        (audit.images - 1, "On images without near copies in training, "),
        (0, "On images without near copies in training, "),
    ):
        told = answers(replace(result, audit=replace(audit, of_patients=known)))
        assert told[question].startswith(start)


def test_baselines_are_told_for_both_splits_in_one_sentence_or_apart(finished: Finished) -> None:
    question = "Do they beat predictions that need no network?"
    same = both("supported")
    first, *_ = finished.result.splits
    # Which baseline is best depends on the split.
    shared = tuple(replace(s, baselines=first.baselines) for s in finished.result.splits)
    found = answers(with_verdicts(replace(finished.result, splits=shared), same, 3))[question]
    assert found.startswith("On new patients and on the original split, both networks beat ")
    apart = {**same, "original": ("not supported", "undecided")}
    found = answers(with_verdicts(finished.result, apart, 3))[question]
    assert re.fullmatch(
        r"On new patients, both networks beat [a-z ]+\. "
        r"On the original split, a network does not reach [a-z ]+\.",
        found,
    )


@pytest.mark.parametrize(("trainings", "words"), [(1, "once"), (2, "twice")])
def test_too_few_trainings_answer_nothing(finished: Finished, trainings: int, words: str) -> None:
    verdicts = both("undecided")
    found = answers(with_verdicts(finished.result, verdicts, trainings))
    undecided = f"Undecided: each network was trained only {words}."
    assert found["Which network is better?"] == undecided
    assert found["Do they beat predictions that need no network?"] == undecided
    assert "needs 3 trainings" in found["Would another training change the answer?"]


def test_the_share_of_training_is_told(finished: Finished) -> None:
    verdicts = both("undecided")
    found = answers(with_verdicts(finished.result, verdicts, 3))
    share = round(100 * 0.04**2 / (0.03**2 + 0.04**2))
    assert found["Would another training change the answer?"].startswith(
        f"On new patients, training accounts for {share} % of the uncertainty of scratch"
    )


def test_a_loss_by_leaks_that_is_not_significant_is_marked(finished: Finished) -> None:
    leaks = tuple(
        replace(leak, original=0.5, grouped=0.4, lost=Interval(0.1, low, 0.2))
        for leak, low in zip(
            finished.result.leaks, (0.05, -0.05, 0.05, 0.05, 0.05, 0.05), strict=True
        )
    )
    found = answers(replace(finished.result, leaks=leaks))[
        "How much of the score comes from leaks?"
    ]
    assert "\N{MINUS SIGN}20 % (scratch)" in found
    assert "\N{MINUS SIGN}20 % (scratch-augment-dice, not significant)" in found


def test_without_near_copies_nothing_was_removed_and_every_change_is_told(
    finished: Finished,
) -> None:
    first, *others = finished.result.splits
    # The best baseline is another one than the copy of the nearest image.
    splits = (replace(first, baselines=first.baselines[:2]), *others)
    audit = replace(finished.result.audit, crossing=0)
    result = replace(finished.result, splits=splits, audit=audit)
    found = answers(result)["How much of the score comes from leaks?"]
    assert found.startswith("No near copies were found between the splits, so none were removed.")
    assert "(nearest training image" in found


def test_what_intervals_cover_depends_on_the_trainings(finished: Finished) -> None:
    text = {n: coverage_text(replace(finished.config, seeds=n)) for n in (1, 2, 3)}
    assert "only once" in text[1]
    assert "only twice" in text[2]
    assert "and another training." in text[3]
