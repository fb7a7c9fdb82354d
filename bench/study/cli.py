"""`seg-study`: the whole study and its report."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.shell import encoder_weights, encoder_weights_option, work_progress
from runtime.cli.command import Command, require, share_cores
from runtime.cli.display import progress, table
from runtime.cli.options import ARTIFACTS, PHANTOM, cache_option, data_option, threads_option
from runtime.cli.signals import stopping

if TYPE_CHECKING:
    from bench.study.config import SplitKind
    from bench.study.result import StudyResult


_SPLITS: "dict[str, tuple[SplitKind, ...]]" = {
    "both": ("original", "grouped"),
    "original": ("original",),
    "grouped": ("grouped",),
}


@click.command(cls=Command)
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@click.option(
    "--preset",
    type=click.Choice(["study", "small", "demo"]),
    help="study: the full protocol; small: width 16, 128x128, for two cores; demo: minutes.  "
    "[default: study; without --data: demo]",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NAME",
    help="What to train: scratch, resnet50, resnet34 or swin, with -augment, -unfreezeN, -dice or "
    "-bce-dice behind it; or ensemble, the mean of the others. Repeat it.  "
    "[default: scratch, resnet50]",
)
@click.option(
    "--splits",
    type=click.Choice(list(_SPLITS)),
    default="both",
    show_default=True,
    help="The data set's own, or one that keeps groups of similar images together.",
)
@encoder_weights_option
@click.option("--width", type=int, metavar="N", help="Instead of the preset's.")
@click.option("--size", type=int, metavar="N", help="Instead of the preset's.")
@click.option("--epochs", type=int, metavar="N", help="Instead of the preset's.")
@click.option("--batch-size", type=int, metavar="N", help="Instead of the preset's.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Compile each network before it is trained, with torch.compile: for a GPU.",
)
@threads_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the study goes, and goes on when it was interrupted.  "
    "[default: artifacts/study-PRESET; demo: artifacts/demo/study]",
)
@cache_option
def main(
    data: Path | None,
    preset: str | None,
    networks: tuple[str, ...],
    splits: str,
    weights: tuple[str, ...],
    threads: int | None,
    out: Path | None,
    cache: Path,
    seed: int,
    device: Any,
    compiled: bool,
    **changes: int | None,
) -> None:
    """Run the study on a data set, or go on with it, and write its report.

    Examines the data, looks for leaks between its splits, trains every network on the original and
    on a grouped split, exports and scores them, compares them, and writes report.html, report.md
    and study.json. What is done already is not done again.

    Ctrl-C and SIGTERM stop it after the current step (exit code 130 or 143), a second Ctrl-C at
    once; the same command goes on.
    """
    require("study", "torch", "torchvision", "onnx", "onnxscript", "jinja2", "matplotlib", "scipy")
    share_cores()
    from bench.study.config import PAIR, StudyConfig
    from bench.study.report import write_study_report
    from bench.study.run import run_study
    from runtime.data.phantom import ensure_phantom

    chosen: Any = preset or ("study" if data else "demo")
    config = StudyConfig(
        data=str(data or PHANTOM),
        preset=chosen,
        networks=networks or PAIR,
        splits=_SPLITS[splits],
        encoder_weights=encoder_weights(weights, demo=chosen == "demo"),
        changes={name: value for name, value in changes.items() if value is not None},
        seed=seed,
        device=device,
        threads=threads or 0,
        compile=compiled,
    )
    if data is None:
        click.echo(f"Demo: the phantom set in {PHANTOM} (synthetic scans); give --data for yours.")
        with progress("Phantom") as bar:
            ensure_phantom(PHANTOM, on_progress=bar)
    folder = out or ARTIFACTS / (f"study-{chosen}" if data else "demo/study")
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    with stopping() as stop, work_progress("Study  ") as listener:
        result, prepared = run_study(
            config, folder, cache=cache, command=command, listener=listener, stop=stop
        )
        listener("write the report", 1.0, 1.0)
        page = write_study_report(result, prepared, folder)
    click.echo(_report(result))
    for path in (page, page.with_suffix(".md"), folder / "study.json"):
        click.echo(str(path))


def _report(result: "StudyResult") -> str:
    from bench.study.tables import leak_table, scores_table

    parts = []
    for split in result.splits:
        parts.append(f"Test images of the {split.kind} split:\n" + table(*scores_table(split)))
        parts += [f"{h.claim}: {h.verdict}. {h.reason}" for h in split.hypotheses]
    if result.leaks:
        parts.append("Soft IoU on both splits:\n" + table(*leak_table(result)))
    return "\n\n".join(parts)
