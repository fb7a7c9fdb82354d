"""`seg-study`: the whole study and its report."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.study.config import PRESETS, SCALE, StudyConfig
from bench.training_options import (
    echo_target_notes,
    encoder_weights,
    encoder_weights_option,
    ensure_data,
    require_scheduler,
    schedule_progress,
)
from runtime.cli.command import Command, require, share_cores
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import table
from runtime.cli.options import (
    ARTIFACTS,
    PHANTOM,
    Folder,
    cache_option,
    data_option,
    provider_options,
    scheduler_option,
)
from runtime.cli.signals import stopping
from runtime.core.errors import ParityError
from runtime.core.progress import counted
from train.config import TrainConfig

if TYPE_CHECKING:
    from bench.study.result import StudyResult

_PRESETS = {name: changes for name, changes in PRESETS.items() if changes}


@click.command(cls=Command)
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@config_options(StudyConfig)
@encoder_weights_option
@config_options(
    TrainConfig,
    only=(*SCALE, "seed", "device", "precision", "compile", "threads", "intensity"),
    presets=_PRESETS,
)
@provider_options
@click.option(
    "--out",
    type=Folder,
    metavar="DIR",
    help="Folder of the study; an interrupted one is resumed there.  "
    "[default: artifacts/study-PRESET; demo: artifacts/demo/study]",
)
@cache_option
@scheduler_option
@click.option(
    "--status",
    is_flag=True,
    help="Tell what of the study in --out is done and what is left, also while it runs. Needs the "
    "other options of that study.",
)
def main(
    data: Path | None,
    weights: tuple[str, ...],
    out: Path | None,
    cache: Path,
    scheduler: str | None,
    status: bool,
    **settings: Any,
) -> None:
    """Run the study on a data set, or resume it, and write its report.

    The study examines the data, looks for leaks between the splits, and trains every network on the
    original and on a grouped split. It exports, scores and compares the networks, and writes
    report.html, report.md and study.json. Finished steps are not repeated.

    Ctrl-C and SIGTERM stop it after the current step (exit code 130 or 143), a second Ctrl-C stops
    at once. The same command resumes it.
    """
    config = _config(data, weights, given_settings(settings))
    folder = out or ARTIFACTS / (f"study-{config.preset}" if data else "demo/study")
    if status:
        click.echo(_status(config, folder))
        return
    require("study", "torch", "torchvision", "onnx", "onnxscript", "jinja2", "matplotlib", "scipy")
    require_scheduler(scheduler, settings["threads"])
    share_cores()
    ensure_data(data)
    _carry_out(config, folder, cache, scheduler)


def _carry_out(config: StudyConfig, folder: Path, cache: Path, scheduler: str | None) -> None:
    dataset = echo_target_notes(config.training(config.trained[0], config.data))
    # It takes seconds: what is refused was refused before.
    click.echo("Loading PyTorch", err=True)
    from bench.study.report import write_study_report
    from bench.study.run import run_study

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    with (
        stopping() as stop,
        schedule_progress("Study  ", estimated=scheduler is None) as on_progress,
    ):
        result, prepared = run_study(
            config,
            folder,
            cache=cache,
            command=command,
            dataset=dataset,
            scheduler=scheduler,
            on_progress=on_progress,
            stop=stop,
        )
        page = write_study_report(result, prepared, folder)
    click.echo(_report(result))
    for path in (page, page.with_suffix(".md"), folder / "study.json"):
        click.echo(str(path))
    if result.uncertified:
        raise ParityError(f"not finished, without a certificate: {', '.join(result.unfinished)}")


def _config(data: Path | None, weights: tuple[str, ...], given: dict[str, Any]) -> StudyConfig:
    preset = given.pop("preset", "study" if data else "demo")
    return StudyConfig(
        data=str(data or PHANTOM),
        preset=preset,
        encoder_weights=encoder_weights(weights),
        changes={name: given.pop(name) for name in SCALE if name in given},
        **given,
    )


def _status(config: StudyConfig, folder: Path) -> str:
    require("study", "torch")
    from bench.study.status import other_runs, status_sentence, status_table, study_status

    found = study_status(config, folder)
    parts = [table(*status_table(found)), status_sentence(found)]
    others = other_runs(config, folder)
    if others:
        parts.append(
            f"{folder} has runs of other settings: {', '.join(others)}. Give --status the options "
            "of the study."
        )
    return "\n\n".join(parts)


def _report(result: "StudyResult") -> str:
    from bench.study.findings import study_findings
    from bench.study.ranking import rank, ranking_sentence
    from bench.study.tables import (
        choices,
        engines_text,
        images_text,
        leak_table,
        ranking_table,
        scores_table,
        withheld,
    )

    parts = [f"Not finished: {each}" for each in result.uncertified]
    parts += [f"{finding.question} {finding.answer}" for finding in study_findings(result)]
    for split in result.splits:
        parts += [
            f"On the {split.kind} split, {ranking_sentence(rank(split))}",
            table(*ranking_table(split)),
            f"Means over {images_text(split)}:\n" + table(*scores_table(split)),
            *withheld(split),
        ]
        parts += [f"{h.claim}: {h.shown}. {h.reason}" for h in split.hypotheses]
    if result.leaks:
        parts.append("Soft IoU on both splits:\n" + table(*leak_table(result)))
    threads = counted(result.splits[0].networks[0].latency.threads, "thread")
    parts.append(f"Scored and timed by {engines_text(result)}, {threads}.")
    parts += choices(result)
    if result.claims:
        verdicts = [(claim.text, claim.reading, claim.shown) for claim in result.claims]
        parts.append(table(("the paper says", "metrics", "verdict"), verdicts))
    return "\n\n".join(parts)
