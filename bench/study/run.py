"""The whole study: every step, and what follows from their results."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from bench.study.commands import step_by_step
from bench.study.config import ENSEMBLE, PAIR, StudyConfig
from bench.study.evidence import (
    Hypothesis,
    compare_networks,
    judge_baselines,
    judge_spread,
    judge_transfer,
)
from bench.study.kept import Kept
from bench.study.networks import Networks
from bench.study.prepare import Prepared, prepare
from bench.study.result import Exported, Leak, NetworkResult, SplitResult, StudyResult, Trained
from bench.work import Listener, Work
from runtime.core.files import ensure_writable
from runtime.core.json_files import write_json
from runtime.core.lock import locked
from runtime.core.machine import describe_machine
from runtime.core.schema import to_dict
from runtime.metrics import STUDY_METRICS
from runtime.model.timing import PredictionLatency
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import soft_values
from runtime.scoring.evaluation import Evaluation

STUDY_FILE = "study.json"


def run_study(
    config: StudyConfig,
    folder: str | Path,
    *,
    cache: str | Path,
    command: str,
    listener: Listener = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[StudyResult, Prepared]:
    """Carry out a study, or what is not done of it yet, and write `study.json` to `folder`.

    Args:
        folder: where everything goes; an interrupted study goes on there.
        cache: where decoded data sets are kept.
        command: what was called, for the record.
        stop: asked before each step, and within training and evaluation after each of theirs.

    Raises:
        StoppedError: `stop` was True.
        OutputError: another process carries out a study in `folder`.
        SegmentationError: a step failed; those before it are kept.
    """
    out = Path(folder)
    ensure_writable(out)
    with locked(out):
        return _run(config, out, Path(cache), command, Work(listener, stop))


def _run(
    config: StudyConfig, out: Path, cache: Path, command: str, work: Work
) -> tuple[StudyResult, Prepared]:
    kept = Kept(out / "steps")
    prepared = prepare(config, out, kept, work)
    steps = Networks(config, prepared, out, cache, kept, work)
    steps.plan()
    kinds = tuple(prepared.datasets)
    trained = {(k, n): steps.train(n, k) for n in config.trained for k in kinds}
    files = {key: steps.export(key[1], key[0], run) for key, run in trained.items()}
    if ENSEMBLE in config.networks:
        for kind in kinds:
            members = [trained[kind, network] for network in config.trained]
            files[kind, ENSEMBLE] = steps.ensemble(kind, members)
    times = steps.latencies([files[kinds[0], network] for network in config.networks])
    latency = dict(zip(config.networks, times, strict=True))
    splits = tuple(_split_result(kind, config, prepared, steps, trained, files, latency)
                   for kind in kinds)  # fmt: skip
    result = StudyResult(
        data_name=prepared.original.name,
        config=replace(
            config,
            data=prepared.original.name,
            encoder_weights={a: Path(w).name for a, w in config.encoder_weights.items()},
        ),
        commands=(command, *step_by_step(config, prepared.original.name)),
        machine=describe_machine(),
        audit=prepared.audit,
        grouped_audit=prepared.grouped_audit,
        splits=splits,
        leaks=_leaks(splits),
    )
    write_json(out / STUDY_FILE, to_dict(result))
    return result, prepared


def _split_result(
    kind: str,
    config: StudyConfig,
    prepared: Prepared,
    steps: Networks,
    trained: Mapping[tuple[str, str], Trained],
    files: Mapping[tuple[str, str], Exported],
    latency: Mapping[str, PredictionLatency],
) -> SplitResult:
    evaluations = {n: steps.evaluate(n, kind, files[kind, n]) for n in config.networks}
    size = next(iter(evaluations.values())).size
    baselines = steps.baselines(kind, size)
    dataset = prepared.datasets[kind]
    groups = tuple(prepared.groups[s.path.resolve()] for s in dataset.split("test").samples)
    bootstrap = Bootstrap(len(groups), groups)
    networks = tuple(
        NetworkResult(
            network=network,
            trained=trained.get((kind, network)),
            file=files[kind, network],
            evaluation=evaluation,
            means={m: bootstrap.mean(soft_values(evaluation, m)) for m in STUDY_METRICS},
            latency=latency[network],
        )
        for network, evaluation in evaluations.items()
    )
    evidence = tuple(
        compare_networks(one, other, groups, bootstrap)
        for one, other in combinations(evaluations.values(), 2)
    )
    return SplitResult(
        kind=kind,
        data_sha256=prepared.sha256[kind],
        images={name: len(split.samples) for name, split in dataset.splits.items()},
        groups=groups,
        networks=networks,
        baselines=baselines,
        evidence=evidence,
        hypotheses=_hypotheses(config, evaluations, baselines, groups, bootstrap),
    )


def _hypotheses(
    config: StudyConfig,
    evaluations: Mapping[str, Evaluation],
    baselines: tuple[Evaluation, ...],
    groups: tuple[int, ...],
    bootstrap: Bootstrap,
) -> tuple[Hypothesis, ...]:
    """Judge the hypotheses, as far as both of the study's networks are there, one pretrained."""
    if not set(PAIR) <= evaluations.keys():
        return ()
    one, other = (evaluations[name] for name in PAIR)
    first = judge_baselines([one, other], baselines, bootstrap)
    if config.training(PAIR[1], config.data).encoder_weights == "none":
        return (first,)
    pair = compare_networks(one, other, groups, bootstrap)
    return first, judge_transfer(pair), judge_spread(pair)


def _leaks(splits: tuple[SplitResult, ...]) -> tuple[Leak, ...]:
    """Compare each network, and each baseline, between the original and the grouped split."""
    if len(splits) < 2:
        return ()
    by_kind = {split.kind: split for split in splits}
    original, grouped = by_kind["original"], by_kind["grouped"]
    draws = Bootstrap(len(original.groups), original.groups)
    others = Bootstrap(len(grouped.groups), grouped.groups, seed=1)
    pairs = [(n.evaluation, m.evaluation)
             for n, m in zip(original.networks, grouped.networks, strict=True)]  # fmt: skip
    pairs += zip(original.baselines, grouped.baselines, strict=True)
    leaks = []
    for one, other in pairs:
        lost = draws.mean_difference(soft_values(one, "iou"), others, soft_values(other, "iou"))
        leaks.append(
            Leak(
                network=one.name,
                original=one.soft.per_image["iou"].mean,
                grouped=other.soft.per_image["iou"].mean,
                lost=lost,
            )
        )
    return tuple(leaks)
