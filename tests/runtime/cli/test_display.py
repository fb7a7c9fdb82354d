"""Tables and progress bars of commands."""

import math
from functools import partial
from types import SimpleNamespace

import pytest

from runtime.cli.display import ProgressBar, ProgressLines, progress, skipped_text, table
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
    bar = ProgressBar(label)
    for phase in ("read", "score"):
        for done in range(3):
            bar(Progress(done, 2, phase=phase))
    bar.close()
    shown = capsys.readouterr().err.split()
    assert shown == ([label] if label else ["read", "score"])
    assert len(shown) == lines


def test_without_a_terminal_there_is_a_line_now_and_then_with_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    lines = ProgressLines("Score", clock=lambda: now)
    for second in range(41):
        now = float(second)
        lines(Progress(second, 100, phase="images", note="a.onnx" if second > 30 else ""))
    assert capsys.readouterr().err.splitlines() == [
        "Score 10 of 100, 90 s left",
        "Score 20 of 100, 80 s left",
        "Score 30 of 100, 70 s left",
        "Score 40 of 100, 60 s left: a.onnx",
    ]


def test_where_the_numbers_are_seconds_the_time_left_is_their_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    lines = ProgressLines("Study", clock=lambda: now, seconds=True)
    for second, done, total in ((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (20.0, 10.0, 40.0)):
        now = second
        lines(Progress(done, total))
    assert capsys.readouterr().err.splitlines() == ["Study 0 %", "Study 25 %, 30 s left"]


def test_the_time_left_is_that_of_the_phase(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = ProgressLines(clock=lambda: now)
    lines(Progress(0, 10, phase="read"))
    now = 1000.0
    lines(Progress(10, 10, phase="read"))
    lines(Progress(40, 100, phase="score"))
    now = 1020.0
    lines(Progress(50, 100, phase="score"))
    assert capsys.readouterr().err.splitlines() == ["read 10 of 10", "score 50 of 100, 100 s left"]


@pytest.mark.parametrize("kind", [ProgressBar, ProgressLines])
def test_the_note_of_a_milestone_is_a_line(
    kind: type[ProgressBar | ProgressLines], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = kind("Score")
    shown(Progress(3, 10, note="2 workers", milestone=True))
    shown.close()
    assert capsys.readouterr().err == "2 workers\n"


def test_the_time_left_is_told_once_there_is_a_basis(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = ProgressLines("Score", clock=lambda: now)
    for second in range(51):
        now = float(second)
        lines(Progress(0.0 if second < 38 else second - 37.0, 100.0))  # workers start for 37 s
    assert capsys.readouterr().err.splitlines() == [
        "Score 0 of 100",
        "Score 0 of 100",
        "Score 0 of 100",
        "Score 3 of 100",
        "Score 13 of 100, 87 s left",
    ]


def test_a_command_in_a_log_writes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for in_terminal, kind in ((1, ProgressBar), (0, ProgressLines)):
        monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=partial(bool, in_terminal)))
        with progress("Score") as shown:
            assert type(shown) is kind
