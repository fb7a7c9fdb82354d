"""The README's tables, made from a study's result.

`python -m bench.study.readme README.md artifacts/study/study.json` puts them in their place.
"""

import sys
from pathlib import Path

from bench.study.result import StudyResult
from bench.study.tables import KINDS, leak_table, readme_table
from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict
from runtime.report.cells import markdown_table

BEGIN, END = "<!-- study.json, begin -->", "<!-- study.json, end -->"


def read_study(path: str | Path) -> StudyResult:
    """Read a `study.json`. Raises DataError where it is not one."""
    content = read_json(path, error=DataError)
    return from_dict(StudyResult, content, where=str(path), error=DataError)


def readme_block(result: StudyResult) -> str:
    """Return what stands in the README between its two marks, these included."""
    groups = ", ".join(
        f"{split.kind} {split.images['test']} in {split.group_count} groups of similar images"
        for split in result.splits
    )
    parts = [BEGIN, markdown_table(*readme_table(result)), f"Test images: {groups}."]
    for split in result.splits:
        verdicts = [
            f"- {h.claim} **{h.verdict.capitalize()}.** {h.reason}" for h in split.hypotheses
        ]
        if verdicts:
            parts += [f"On {KINDS[split.kind]}:", "\n".join(verdicts)]
    if result.leaks:
        parts += ["Soft IoU, mean over test images, on the two splits:"]
        parts += [markdown_table(*leak_table(result))]
    return "\n\n".join([*parts, END])


def with_block(readme: str, block: str) -> str:
    """Return the README with the block in the place of the one that it has.

    Raises:
        DataError: it has no marks.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"README: expected the marks {BEGIN} and {END}, found none")
    return before + block + after


if __name__ == "__main__":
    page, study = (Path(argument) for argument in sys.argv[1:3])
    write_text(page, with_block(page.read_text(), readme_block(read_study(study))))
