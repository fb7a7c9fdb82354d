"""The whole study: its steps, and the comparisons that follow from their results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from bench.schedule import Schedule
from bench.study.claims.claim import Claim
from bench.study.claims.judgment import judge_claims
from bench.study.commands import step_by_step
from bench.study.config import ENSEMBLE, PAIR, SPLIT_KINDS, Run, SplitKind, StudyConfig
from bench.study.evidence import (
    Hypothesis,
    compare_networks,
    judge_baselines,
    judge_spread,
    judge_transfer,
)
from bench.study.network_steps import REPORT, NetworkSteps, Scored
from bench.study.prepare import Prepared, prepare
from bench.study.result import (
    Exported,
    Leak,
    NetworkResult,
    NetworkRun,
    SplitResult,
    StudyResult,
    Trained,
    Uncertified,
)
from bench.study.status import STEPS
from bench.study.step_cache import StepCache
from bench.study.variance import split_variance
from runtime.core.errors import ParityError
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
from runtime.scoring.trainings import Doubles
from train.state import choose_device, settle_precision

STUDY_FILE = "study.json"


def run_study(
    config: StudyConfig,
    folder: str | Path,
    *,
    cache: str | Path,
    command: str,
    dataset: Dataset | None = None,
    scheduler: str | None = None,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[StudyResult, Prepared]:
    """Carry out a study, or its missing steps, and write `study.json` to `folder`.

    Args:
        folder: of the study; an interrupted one is resumed there.
        cache: folder of the cache of decoded data sets.
        command: the command line, for the record.
        dataset: the data set of `config`, where it was read before.
        scheduler: of a Dask cluster whose workers train the networks at the same time
            (`bench.cluster_training`); `folder`, `cache` and the data set must be shared.
        on_progress: called when a step starts and advances, with seconds taken and expected. The
            last step is the report, which is the caller's.
        stop: asked before each step, and during training and evaluation.

    Returns:
        The result, and the data that a report needs.

    Raises:
        StoppedError: `stop` returned True.
        ParityError: no network is certified. One that is not is left out of the results.
        OutputError: another process carries out a study in `folder`.
        SegmentationError: a step failed; the results of earlier steps stay cached.
    """
    out = Path(folder)
    ensure_writable(out)
    schedule = Schedule(on_progress, stop)
    with locked(out):
        return _run(config, out, Path(cache), command, schedule, dataset, scheduler)


def _run(
    config: StudyConfig,
    out: Path,
    cache: Path,
    command: str,
    schedule: Schedule,
    dataset: Dataset | None,
    scheduler: str | None,
) -> tuple[StudyResult, Prepared]:
    results = StepCache(out / STEPS)
    prepared = prepare(config, out, results, schedule, dataset)
    config = _settled(config, prepared)
    steps = NetworkSteps(config, prepared, out, cache, results, schedule)
    steps.schedule()
    if scheduler is not None:
        from bench.cluster_training import train_on_cluster

        train_on_cluster(scheduler, steps.trainings(), schedule)
    config, uncertified, runs = _network_runs(config, steps)
    first = [runs[Run(network, config.splits[0], config.seed)] for network in config.networks]
    times = steps.latencies([run.file for run in first])
    latency = dict(zip(config.networks, times, strict=True))
    splits = tuple(_split_result(k, config, prepared, steps, runs, latency) for k in config.splits)
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
        claims=_claims(config, splits[0], prepared),
        uncertified=uncertified,
    )
    write_json(out / STUDY_FILE, to_dict(result))
    schedule.start(REPORT)  # by `bench.study.report`, from what is returned
    return result, prepared


def _settled(config: StudyConfig, prepared: Prepared) -> StudyConfig:
    """Return the config with what the data and this machine decide: masks and precision."""
    targets = choose_targets(config.masks, training_splits(prepared.original))
    config = replace(config, masks=targets.masks)
    run = config.training(config.trained[0], config.data)
    return replace(config, precision=settle_precision(run, choose_device(run)).precision)


def _network_runs(
    config: StudyConfig, steps: NetworkSteps
) -> tuple[StudyConfig, tuple[Uncertified, ...], dict[Run, NetworkRun]]:
    """Train, export and score every network on every split with every seed, and the ensembles.

    Returns:
        The config without the networks that are not certified, why they are not, and the others.

    Raises:
        ParityError: no network is certified.
    """
    trained = {run: steps.train(run) for run in config.runs}
    files, uncertified = _exported({run: [training] for run, training in trained.items()}, steps)
    if ENSEMBLE in config.networks:
        ensembles: dict[Run, list[Trained]] = {}
        for run, training in trained.items():
            ensembles.setdefault(replace(run, network=ENSEMBLE), []).append(training)
        if uncertified:
            reason = f"its member {uncertified[0].network} has none"
            uncertified += tuple(
                Uncertified(run.network, run.kind, run.seed, reason) for run in ensembles
            )
        else:
            more, uncertified = _exported(ensembles, steps)
            files |= more
    failed = {each.network for each in uncertified}
    networks = tuple(name for name in config.networks if name not in failed)
    if not networks:
        raise ParityError(f"no network is finished: {uncertified[0]}")
    runs = {
        run: _network_run(run, trained.get(run), file, steps.evaluate(run, file))
        for run, file in files.items()
        if run.network in networks
    }
    return replace(config, networks=networks), uncertified, runs


def _exported(
    members: Mapping[Run, Sequence[Trained]], steps: NetworkSteps
) -> tuple[dict[Run, Exported], tuple[Uncertified, ...]]:
    """Export every network or ensemble; return the files, and those without a certificate."""
    files: dict[Run, Exported] = {}
    uncertified: list[Uncertified] = []
    for run, of in members.items():
        try:
            files[run] = steps.export(run, of)
        except ParityError as error:
            uncertified.append(Uncertified(run.network, run.kind, run.seed, str(error)))
    return files, tuple(uncertified)


def _network_run(run: Run, trained: Trained | None, file: Exported, scored: Scored) -> NetworkRun:
    return NetworkRun(run.seed, trained, file, scored.evaluation, scored.engine, scored.choice)


def _split_result(
    kind: SplitKind,
    config: StudyConfig,
    prepared: Prepared,
    steps: NetworkSteps,
    runs: Mapping[Run, NetworkRun],
    latency: Mapping[str, PredictionLatency],
) -> SplitResult:
    by_network = {
        network: tuple(runs[Run(network, kind, seed)] for seed in config.training_seeds)
        for network in config.networks
    }
    evaluations = {n: [run.evaluation for run in each] for n, each in by_network.items()}
    baselines = steps.baselines(kind, evaluations[config.networks[0]][0].size)
    dataset = prepared.datasets[kind]
    groups = tuple(prepared.groups[s.path.resolve()] for s in dataset.split("test").samples)
    bootstrap = Bootstrap(len(groups), groups)
    networks = tuple(
        NetworkResult(
            network=network,
            runs=each,
            means={m: bootstrap.mean(_soft(evaluations[network], m)) for m in STUDY_METRICS},
            latency=latency[network],
        )
        for network, each in by_network.items()
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
        variance=split_variance(evaluations, bootstrap),
    )


def _soft(evaluations: Sequence[Evaluation], metric: str) -> Doubles:
    """Return a soft metric of each training and image, float64 [trainings, images]."""
    return np.array([soft_values(evaluation, metric) for evaluation in evaluations])


def _hypotheses(
    config: StudyConfig,
    evaluations: Mapping[str, Sequence[Evaluation]],
    baselines: tuple[Evaluation, ...],
    groups: tuple[int, ...],
    bootstrap: Bootstrap,
) -> tuple[Hypothesis, ...]:
    """Judge the hypotheses that the networks allow: both of the pair, and one pretrained."""
    if not set(PAIR) <= evaluations.keys():
        return ()
    one, other = (evaluations[name] for name in PAIR)
    first = judge_baselines([one, other], baselines, bootstrap)
    if not config.pretrained:
        return (first,)
    pair = compare_networks(one, other, groups, bootstrap)
    return first, judge_transfer(pair), judge_spread(pair)


def _claims(config: StudyConfig, split: SplitResult, prepared: Prepared) -> tuple[Claim, ...]:
    """Judge the paper's claims, if its two networks were trained on its split."""
    if not set(PAIR) <= set(config.networks) or split.kind != SPLIT_KINDS[0]:
        return ()
    if not config.pretrained:
        return ()
    one, other = (split.network(name) for name in PAIR)
    pair = compare_networks(
        one.evaluations, other.evaluations, split.groups, Bootstrap(len(split.groups), split.groups)
    )
    full = config.preset == "study" and not config.changes
    return judge_claims(
        one.histories, other.histories, pair, prepared.exploration, full_protocol=full
    )


def _leaks(splits: tuple[SplitResult, ...]) -> tuple[Leak, ...]:
    """Compare each network and each baseline between the original and the grouped split."""
    by_kind = {split.kind: split for split in splits}
    if not by_kind.keys() >= set(SPLIT_KINDS):
        return ()
    original, grouped = (by_kind[kind] for kind in SPLIT_KINDS)
    original_draws = Bootstrap(len(original.groups), original.groups)
    grouped_draws = Bootstrap(len(grouped.groups), grouped.groups, seed=1)

    def leak(name: str, before: Sequence[Evaluation], after: Sequence[Evaluation]) -> Leak:
        one, other = _soft(before, "iou"), _soft(after, "iou")
        return Leak(
            network=name,
            original=original_draws.mean(one).value,
            grouped=grouped_draws.mean(other).value,
            lost=original_draws.mean_difference(one, grouped_draws, other),
        )

    pairs = zip(original.evaluations(), grouped.evaluations(), strict=True)
    return tuple(leak(name, before, after) for (name, before), (_, after) in pairs)
