"""Tables and progress bars of commands."""

import math

import pytest

from runtime.cli.display import progress, skipped_text, table
from runtime.core.progress import Progress


def test_numbers_are_right_aligned_and_undefined_ones_are_dashes() -> None:
    lines = table(("name", "n", "IoU"), [("a", 10, 0.5), ("b\n", 5, math.nan)]).splitlines()
    assert lines == [
        "name   n     IoU",
        "----  --  ------",
        "a     10  0.5000",
        "b\\n    5       -",
    ]


def test_only_the_first_twenty_skipped_images_are_listed() -> None:
    lines = skipped_text([f"{n}.png: damaged image" for n in range(30)]).splitlines()
    assert lines[0].endswith("(30):")
    assert len(lines) == 22
    assert lines[-1].strip() == "..."


@pytest.mark.parametrize(("label", "lines"), [("Evaluate", 1), ("", 2)])
def test_a_bar_without_a_label_has_a_line_for_each_phase(
    label: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(label) as bar:
        for phase in ("read", "score"):
            for done in range(3):
                bar(Progress(done, 2, phase=phase))
    shown = capsys.readouterr().err.split()
    assert shown == ([label] if label else ["read", "score"])
    assert len(shown) == lines
