"""Run segmentation networks from ONNX files, and score them: numpy and ONNX Runtime, no PyTorch."""

import os
from typing import TYPE_CHECKING

from runtime.core.lazy import lazily

# ONNX Runtime from 1.29 on tells its maker of each network that it loads, by name and hash. It can
# be told not to only before it is imported; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from runtime.core.errors import (
        AnnotationError,
        CheckpointError,
        ConfigError,
        DataError,
        ImageError,
        MeasurementError,
        MissingExtraError,
        ModelError,
        NonFiniteLossError,
        OutputError,
        ParityError,
        SegmentationError,
        StoppedError,
        TrainingError,
        UseError,
    )
    from runtime.data.audit import Audit, AuditSummary, audit_dataset, summarize
    from runtime.data.check import CheckReport, SplitSummary, check_dataset
    from runtime.data.coco import Dataset, Split, manifest_sha256, read_dataset
    from runtime.data.grouped_split import GroupedSplit, split_by_group, write_split
    from runtime.data.images import Scan, load_scan, to_input
    from runtime.data.phantom import PhantomConfig, ensure_phantom, make_phantom
    from runtime.data.readable import Skipped, readable_part
    from runtime.data.samples import Annotation, Defect, Sample
    from runtime.data.similarity import LinkRule
    from runtime.metrics import (
        Calibration,
        CalibrationSums,
        PixelSums,
        Scores,
        Spread,
        pixel_sums,
        pooled,
        scores,
        spread,
        thresholded_sums,
    )
    from runtime.model.metadata import Metadata, Parity
    from runtime.model.onnx_file import OnnxFile, TensorInfo, read_onnx
    from runtime.model.overlay import draw_overlay
    from runtime.model.predictor import Predictor, concurrency_for
    from runtime.model.verification import Check, Verification, verify
    from runtime.scoring.baselines import evaluate_baselines
    from runtime.scoring.comparison import Bootstrap, Comparison, Difference, Interval, compare
    from runtime.scoring.evaluation import Averages, Evaluation, SampleSums, evaluate
    from runtime.scoring.results import EvaluationReport, write_report, write_samples

__all__ = [
    "Annotation",
    "AnnotationError",
    "Audit",
    "AuditSummary",
    "Averages",
    "Bootstrap",
    "Calibration",
    "CalibrationSums",
    "Check",
    "CheckReport",
    "CheckpointError",
    "Comparison",
    "ConfigError",
    "DataError",
    "Dataset",
    "Defect",
    "Difference",
    "Evaluation",
    "EvaluationReport",
    "GroupedSplit",
    "ImageError",
    "Interval",
    "LinkRule",
    "MeasurementError",
    "Metadata",
    "MissingExtraError",
    "ModelError",
    "NonFiniteLossError",
    "OnnxFile",
    "OutputError",
    "Parity",
    "ParityError",
    "PhantomConfig",
    "PixelSums",
    "Predictor",
    "Sample",
    "SampleSums",
    "Scan",
    "Scores",
    "SegmentationError",
    "Skipped",
    "Split",
    "SplitSummary",
    "Spread",
    "StoppedError",
    "TensorInfo",
    "TrainingError",
    "UseError",
    "Verification",
    "audit_dataset",
    "check_dataset",
    "compare",
    "concurrency_for",
    "draw_overlay",
    "ensure_phantom",
    "evaluate",
    "evaluate_baselines",
    "load_scan",
    "make_phantom",
    "manifest_sha256",
    "pixel_sums",
    "pooled",
    "read_dataset",
    "read_onnx",
    "readable_part",
    "scores",
    "split_by_group",
    "spread",
    "summarize",
    "thresholded_sums",
    "to_input",
    "verify",
    "write_report",
    "write_samples",
    "write_split",
]

__getattr__ = lazily(
    __name__,
    {
        "runtime.data.audit": ("Audit", "AuditSummary", "audit_dataset", "summarize"),
        "runtime.scoring.comparison": (
            "Bootstrap",
            "Comparison",
            "Difference",
            "Interval",
            "compare",
        ),
        "runtime.data.grouped_split": ("GroupedSplit", "split_by_group", "write_split"),
        "runtime.data.check": ("CheckReport", "SplitSummary", "check_dataset"),
        "runtime.data.coco": ("Dataset", "Split", "manifest_sha256", "read_dataset"),
        "runtime.data.similarity": ("LinkRule",),
        "runtime.data.samples": ("Annotation", "Defect", "Sample"),
        "runtime.core.errors": (
            "AnnotationError",
            "CheckpointError",
            "ConfigError",
            "DataError",
            "ImageError",
            "MeasurementError",
            "MissingExtraError",
            "ModelError",
            "NonFiniteLossError",
            "OutputError",
            "ParityError",
            "SegmentationError",
            "StoppedError",
            "TrainingError",
            "UseError",
        ),
        "runtime.scoring.evaluation": ("Averages", "Evaluation", "SampleSums", "evaluate"),
        "runtime.scoring.baselines": ("evaluate_baselines",),
        "runtime.data.images": ("Scan", "load_scan", "to_input"),
        "runtime.model.metadata": ("Metadata", "Parity"),
        "runtime.metrics": (
            "Calibration",
            "CalibrationSums",
            "PixelSums",
            "Scores",
            "Spread",
            "pixel_sums",
            "pooled",
            "scores",
            "spread",
            "thresholded_sums",
        ),
        "runtime.model.onnx_file": ("OnnxFile", "TensorInfo", "read_onnx"),
        "runtime.model.overlay": ("draw_overlay",),
        "runtime.data.phantom": ("PhantomConfig", "ensure_phantom", "make_phantom"),
        "runtime.model.predictor": ("Predictor", "concurrency_for"),
        "runtime.data.readable": ("Skipped", "readable_part"),
        "runtime.scoring.results": ("EvaluationReport", "write_report", "write_samples"),
        "runtime.model.verification": ("Check", "Verification", "verify"),
    },
)
