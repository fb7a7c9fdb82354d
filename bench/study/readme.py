"""The study's block in the README, made from `study.json`.

`python -m bench.study.readme README.md artifacts/study/study.json` puts it in its place.
"""

import sys
from pathlib import Path

from bench.study.findings import study_findings
from bench.study.result import StudyResult, read_study
from bench.study.tables import readme_table
from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.report.cells import markdown_table

BEGIN, END = "<!-- study.json, begin -->", "<!-- study.json, end -->"
_FINDINGS = 3
"""Of the study's findings, those that the README tells."""


def readme_block(result: StudyResult) -> str:
    """Return the README's block on the study: between its marks, the findings and a table."""
    table = markdown_table(*readme_table(result)).strip()
    found = study_findings(result)[:_FINDINGS]
    told = [f"- {finding.question} **{finding.answer}**" for finding in found]
    return "\n".join([BEGIN, *told, "", table, END])


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


if __name__ == "__main__":
    page, study = (Path(argument) for argument in sys.argv[1:3])
    write_text(page, with_block(page.read_text(), readme_block(read_study(study))))
