"""The study's block in the README, made from `study.json`.

`python -m bench.study.readme README.md artifacts/study/study.json` puts it in its place.
"""

import sys
from pathlib import Path

from bench.study.evidence import best_baseline
from bench.study.result import SplitResult, StudyResult, read_study
from bench.study.tables import readme_table
from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.report.cells import markdown_table

BEGIN, END = "<!-- study.json, begin -->", "<!-- study.json, end -->"
_HYPOTHESES = 2
"""Of the study's three, those that the README tells."""


def readme_block(result: StudyResult) -> str:
    """Return the README's block on the study: its two marks, a small table, the findings."""
    table = markdown_table(*readme_table(result)).strip()
    return "\n".join([BEGIN, table, "", " ".join(findings(result)), END])


def findings(result: StudyResult) -> list[str]:
    """Return the findings of a study: at most three sentences."""
    sentences = [
        f"{hypothesis.claim}: {_verdicts(result, hypothesis.claim)}."
        for hypothesis in result.splits[0].hypotheses[:_HYPOTHESES]
    ]
    return [*sentences, *_leak(result)]


def with_block(readme: str, block: str) -> str:
    r"""Return the README with its block replaced by `block`.

    Raises:
        DataError: the README lacks the marks.

    Example:
        >>> old = f"# Title\n{BEGIN}\nold\n{END}\n"
        >>> with_block(old, f"{BEGIN}\nnew\n{END}") == f"# Title\n{BEGIN}\nnew\n{END}\n"
        True
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"README: the marks {BEGIN} and {END} are missing")
    return before + block + after


def _verdicts(result: StudyResult, claim: str) -> str:
    verdicts = {split.kind: _verdict(split, claim) for split in result.splits}
    if len(verdicts) > 1 and len(set(verdicts.values())) == 1:
        return f"{verdicts['original']} on both splits"
    return ", ".join(f"{verdict} on the {kind} split" for kind, verdict in verdicts.items())


def _verdict(split: SplitResult, claim: str) -> str:
    return next(h.verdict for h in split.hypotheses if h.claim == claim)


def _leak(result: StudyResult) -> list[str]:
    """Return the sentence on what changes with the grouped split, if both splits were studied."""
    original = result.split("original")
    if original is None or not result.leaks:
        return []
    names = [n.network for n in original.networks if n.trained is not None]
    names.append(best_baseline(original.baselines).name)
    changes = [
        f"{100 * (leak.grouped / leak.original - 1):.0f} % ({leak.network})"
        for leak in result.leaks
        if leak.network in names and leak.original
    ]
    listed = f"{', '.join(changes[:-1])} and {changes[-1]}"
    return [f"From the original to the grouped split, soft IoU changes by {listed}."]


if __name__ == "__main__":
    page, study = (Path(argument) for argument in sys.argv[1:3])
    write_text(page, with_block(page.read_text(), readme_block(read_study(study))))
