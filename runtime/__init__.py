"""Run segmentation networks from ONNX files, and score them: numpy and ONNX Runtime, no PyTorch."""

import os
from typing import TYPE_CHECKING

from runtime.lazy import lazily

# ONNX Runtime from 1.29 on tells its maker of each network that it loads, by name and hash. It can
# be told not to only before it is imported; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from runtime.audit import Audit, LinkRule, audit_dataset
    from runtime.audit_summary import AuditSummary, summarise
    from runtime.check import CheckReport, SplitSummary, check_dataset
    from runtime.coco import Dataset, Split, read_dataset
    from runtime.comparison import Bootstrap, Comparison, Difference, Interval, compare
    from runtime.errors import (
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
    from runtime.evaluation import Averages, Evaluation, SampleSums, evaluate
    from runtime.floors import evaluate_floors
    from runtime.grouped_split import GroupedSplit, split_by_group, write_split
    from runtime.images import Scan, load_scan, to_input
    from runtime.manifest import manifest_sha256
    from runtime.metadata import Metadata, Parity
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
    from runtime.onnx_file import OnnxFile, TensorInfo, read_onnx
    from runtime.overlay import draw_overlay
    from runtime.phantom import PhantomConfig, ensure_phantom, make_phantom
    from runtime.predictor import Predictor, concurrency_for
    from runtime.readable import Skipped, readable_part
    from runtime.results import EvaluationReport, write_report, write_samples
    from runtime.samples import Annotation, Defect, Sample
    from runtime.verification import Check, Verification, verify

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
    "evaluate_floors",
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
    "summarise",
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
        "runtime.audit": ("Audit", "LinkRule", "audit_dataset"),
        "runtime.audit_summary": ("AuditSummary", "summarise"),
        "runtime.comparison": ("Bootstrap", "Comparison", "Difference", "Interval", "compare"),
        "runtime.grouped_split": ("GroupedSplit", "split_by_group", "write_split"),
        "runtime.check": ("CheckReport", "SplitSummary", "check_dataset"),
        "runtime.coco": ("Dataset", "Split", "read_dataset"),
        "runtime.samples": ("Annotation", "Defect", "Sample"),
        "runtime.errors": (
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
        "runtime.evaluation": ("Averages", "Evaluation", "SampleSums", "evaluate"),
        "runtime.floors": ("evaluate_floors",),
        "runtime.images": ("Scan", "load_scan", "to_input"),
        "runtime.manifest": ("manifest_sha256",),
        "runtime.metadata": ("Metadata", "Parity"),
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
        "runtime.onnx_file": ("OnnxFile", "TensorInfo", "read_onnx"),
        "runtime.overlay": ("draw_overlay",),
        "runtime.phantom": ("PhantomConfig", "ensure_phantom", "make_phantom"),
        "runtime.predictor": ("Predictor", "concurrency_for"),
        "runtime.readable": ("Skipped", "readable_part"),
        "runtime.results": ("EvaluationReport", "write_report", "write_samples"),
        "runtime.verification": ("Check", "Verification", "verify"),
    },
)
