"""The whole study: its steps, and the comparisons that follow from their results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from bench.schedule import Schedule
from bench.study.commands import step_by_step
from bench.study.config import ENSEMBLE, PAIR, SPLIT_KINDS, StudyConfig
from bench.study.evidence import (
    Hypothesis,
    compare_networks,
    judge_baselines,
    judge_spread,
    judge_transfer,
)
from bench.study.network_steps import NetworkSteps
from bench.study.prepare import Prepared, prepare
from bench.study.result import Exported, Leak, NetworkResult, SplitResult, StudyResult, Trained
from bench.study.step_cache import StepCache
from runtime.core.files import ensure_writable
from runtime.core.json_files import write_json
from runtime.core.lock import locked
from runtime.core.machine import describe_machine
from runtime.core.progress import ProgressCallback
from runtime.core.schema import to_dict
from runtime.data.coco import Dataset
from runtime.data.targets import choose_targets, training_splits
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
    dataset: Dataset | None = None,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[StudyResult, Prepared]:
    """Carry out a study, or its missing steps, and write `study.json` to `folder`.

    Args:
        folder: of the study; an interrupted one is resumed there.
        cache: folder of the cache of decoded data sets.
        command: the command line, for the record.
        dataset: the data set of `config`, where it was read before.
        on_progress: called when a step starts and advances, with estimated seconds.
        stop: asked before each step, and during training and evaluation.

    Returns:
        The result, and the data that a report needs.

    Raises:
        StoppedError: `stop` returned True.
        OutputError: another process carries out a study in `folder`.
        SegmentationError: a step failed; the results of earlier steps stay cached.
    """
    out = Path(folder)
    ensure_writable(out)
    with locked(out):
        return _run(config, out, Path(cache), command, Schedule(on_progress, stop), dataset)


def _run(
    config: StudyConfig,
    out: Path,
    cache: Path,
    command: str,
    schedule: Schedule,
    dataset: Dataset | None,
) -> tuple[StudyResult, Prepared]:
    results = StepCache(out / "steps")
    prepared = prepare(config, out, results, schedule, dataset)
    targets = choose_targets(config.masks, training_splits(prepared.original))
    config = replace(config, masks=targets.masks)
    steps = NetworkSteps(config, prepared, out, cache, results, schedule)
    steps.schedule()
    kinds = tuple(prepared.datasets)
    trained = {(k, n): steps.train(n, k) for n in config.trained for k in kinds}
    files = _export(config, kinds, trained, steps)
    times = steps.latencies([files[kinds[0], network] for network in config.networks])
    latency = dict(zip(config.networks, times, strict=True))
    splits = tuple(
        _split_result(kind, config, prepared, steps, trained, files, latency) for kind in kinds
    )
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


def _export(
    config: StudyConfig,
    kinds: Sequence[str],
    trained: Mapping[tuple[str, str], Trained],
    steps: NetworkSteps,
) -> dict[tuple[str, str], Exported]:
    """Return the exported file of each network, and of the ensemble, on each split."""
    files = {
        (kind, network): steps.export(network, kind, [run])
        for (kind, network), run in trained.items()
    }
    if ENSEMBLE in config.networks:
        for kind in kinds:
            members = [trained[kind, network] for network in config.trained]
            files[kind, ENSEMBLE] = steps.export(ENSEMBLE, kind, members)
    return files


def _split_result(
    kind: str,
    config: StudyConfig,
    prepared: Prepared,
    steps: NetworkSteps,
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
    """Judge the hypotheses that the networks allow: both of the pair, and one pretrained."""
    if not set(PAIR) <= evaluations.keys():
        return ()
    one, other = (evaluations[name] for name in PAIR)
    first = judge_baselines([one, other], baselines, bootstrap)
    if config.training(PAIR[1], config.data).encoder_weights == "none":
        return (first,)
    pair = compare_networks(one, other, groups, bootstrap)
    return first, judge_transfer(pair), judge_spread(pair)


def _leaks(splits: tuple[SplitResult, ...]) -> tuple[Leak, ...]:
    """Compare each network and each baseline between the original and the grouped split."""
    by_kind = {split.kind: split for split in splits}
    if not by_kind.keys() >= set(SPLIT_KINDS):
        return ()
    original, grouped = (by_kind[kind] for kind in SPLIT_KINDS)
    original_draws = Bootstrap(len(original.groups), original.groups)
    grouped_draws = Bootstrap(len(grouped.groups), grouped.groups, seed=1)

    def leak(before: Evaluation, after: Evaluation) -> Leak:
        return Leak(
            network=before.name,
            original=before.soft.per_image["iou"].mean,
            grouped=after.soft.per_image["iou"].mean,
            lost=original_draws.mean_difference(
                soft_values(before, "iou"), grouped_draws, soft_values(after, "iou")
            ),
        )

    pairs = zip(_evaluations(original), _evaluations(grouped), strict=True)
    return tuple(leak(before, after) for before, after in pairs)


def _evaluations(split: SplitResult) -> Iterator[Evaluation]:
    """Yield the evaluations of the networks, then those of the baselines."""
    yield from (network.evaluation for network in split.networks)
    yield from split.baselines
