"""The modules that carry numbers, and the tests that should notice a change in each."""

from pathlib import Path

TARGETS: dict[str, tuple[str, ...]] = {
    "runtime/core/exact.py": (),
    "runtime/metrics.py": (),
    "runtime/scoring/evaluation.py": (),
    "runtime/scoring/baselines.py": ("runtime/scoring/test_evaluation.py",),
    "runtime/scoring/bootstrap.py": ("runtime/scoring/test_comparison.py",),
    "runtime/scoring/calibration.py": (),
    "runtime/scoring/clinical_summary.py": (
        "runtime/scoring/test_clinical.py",
        "runtime/scoring/test_volumes.py",
    ),
    "runtime/scoring/comparison.py": ("runtime/scoring/test_clinical.py",),
    "runtime/scoring/intervals.py": (),
    "runtime/scoring/lesions.py": (),
    "runtime/scoring/merging.py": (
        "runtime/scoring/test_parts.py",
        "runtime/scoring/test_files.py",
    ),
    "runtime/scoring/part_files.py": ("runtime/scoring/test_parts.py",),
    "runtime/scoring/patients.py": ("runtime/scoring/test_clinical.py",),
    "runtime/scoring/results.py": (),
    "runtime/scoring/sample_table.py": ("runtime/scoring/test_parts.py",),
    "runtime/scoring/surface.py": (),
    "runtime/scoring/trainings.py": (),
    "runtime/distributed/evaluation_folder.py": (),
    "runtime/distributed/shard_folder.py": (),
    "runtime/distributed/evaluation.py": (),
    "runtime/distributed/tasks.py": (),
    "runtime/data/annotation_reader.py": (
        "runtime/data/test_coco.py",
        "runtime/data/test_foreign_coco.py",
    ),
    "runtime/data/box_agreement.py": (),
    "runtime/data/coco.py": ("runtime/data/test_split_files.py",),
    "runtime/data/coco_file.py": ("runtime/data/test_coco.py", "runtime/data/test_split_files.py"),
    "runtime/data/grouped_split.py": (),
    "runtime/data/color.py": (),
    "runtime/data/deep_color.py": (),
    "runtime/data/images.py": (),
    "runtime/data/masks.py": (),
    "runtime/data/resizing.py": (),
    "runtime/data/segmentations.py": (
        "runtime/data/test_masks.py",
        "runtime/data/test_foreign_coco.py",
    ),
    "runtime/data/samples.py": ("runtime/data/test_coco.py",),
    "runtime/data/framing.py": (),
    "runtime/data/levels.py": (),
    "runtime/data/volumes/dicom_labels.py": (),
    "runtime/data/volumes/dicom_pixels.py": (),
    "runtime/data/volumes/dicom_rules.py": (),
    "runtime/data/volumes/dicom_series.py": (),
    "runtime/data/volumes/dicom_values.py": (),
    "runtime/data/volumes/gray.py": (),
    "runtime/data/volumes/nifti.py": (),
    "runtime/data/volumes/nifti_header.py": ("runtime/data/volumes/test_nifti.py",),
    "runtime/data/volumes/planes.py": ("runtime/data/volumes/test_nifti.py",),
    "runtime/model/checksums.py": (),
    "runtime/model/external_data.py": ("runtime/model/test_hostile_onnx.py",),
    "runtime/model/golden.py": ("runtime/model/test_verification.py",),
    "runtime/model/metadata.py": (),
    "runtime/model/network_input.py": ("runtime/model/test_predictor.py",),
    "runtime/model/onnx_file.py": ("runtime/model/test_hostile_onnx.py",),
    "runtime/model/predictor.py": (),
    "runtime/model/protobuf.py": ("runtime/model/test_hostile_onnx.py",),
    "runtime/model/replay.py": ("export/test_replay.py",),
    "runtime/model/stopping_rule.py": (),
    "runtime/model/timing.py": (),
    "runtime/model/verification.py": (),
    "runtime/model/volumes.py": (),
    "runtime/report/two_sample.py": (),
    "train/augment.py": (),
    "train/checkpoint.py": ("train/test_hostile_checkpoints.py",),
    "train/config.py": (),
    "train/data.py": (),
    "train/determinism.py": (),
    "train/encoders.py": (),
    "train/epoch.py": ("train/test_run_against_plain_loop.py",),
    "train/history.py": (),
    "train/losses.py": (),
    "train/network.py": (),
    "train/objective.py": (),
    "train/resumable_run.py": (),
    "train/run.py": ("train/test_run_against_plain_loop.py",),
    "train/state.py": (),
    "train/weights.py": (),
    "export/conversion.py": ("export/test_ensemble.py",),
    "export/golden_pair.py": (),
    "export/inspection/counting.py": ("export/inspection/test_counting.py",),
    "export/localization.py": (),
    "export/parity.py": ("export/test_localization.py",),
    "export/variants/layer_choice.py": (),
    "export/variants/pixel_shuffle.py": (),
    "export/variants/quantization.py": (),
    "export/winograd/cost.py": (
        "export/winograd/test_winograd_export.py",
        "export/winograd/test_layers.py",
    ),
    "export/winograd/fixed_size.py": ("export/winograd/test_rewriting.py",),
    "export/winograd/layers.py": ("export/winograd/test_layers.py",),
    "export/winograd/rows.py": ("export/winograd/test_layers.py",),
    "export/winograd/transforms.py": ("export/winograd/test_transforms.py",),
    "bench/frontier/budget.py": (),
    "bench/frontier/differences.py": (),
    "bench/frontier/dominance.py": (),
    "bench/frontier/recommendation.py": (),
    "bench/measure/accuracy.py": (),
    "bench/measure/estimates.py": (),
    "bench/measure/latency.py": (),
    "bench/measure/memory.py": (),
    "bench/measure/partial_result.py": (),
    "bench/measure/stages.py": (),
    "bench/medians.py": (),
    "bench/study/claims/curve_measures.py": (),
    "bench/study/evidence.py": (),
    "bench/study/ranking.py": (),
    "bench/study/variance.py": ("bench/study/test_findings.py",),
    "bench/sweep/gains.py": (),
}
"""Test files (under `tests/`) besides the one that mirrors the module, where there is one."""


def find_tests(module: str, root: Path) -> list[str]:
    """Return the test files that should notice a change in a module, relative to the root.

    Raises:
        FileNotFoundError: a listed file, or the module itself, is missing; or no test is known.
    """
    path = Path(module)
    mirror = "tests" / path.parent / f"test_{path.name}"
    listed = [Path("tests", name) for name in TARGETS.get(module, ())]
    files = [mirror] * (root / mirror).is_file() + listed
    missing = [path for path in (path, *files) if not (root / path).is_file()]
    if missing or not files:
        raise FileNotFoundError(missing[0] if missing else mirror)
    return [path.as_posix() for path in dict.fromkeys(files)]
