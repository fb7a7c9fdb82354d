"""Turn checkpoints into ONNX files that say what they are and that were compared with PyTorch."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazily

if TYPE_CHECKING:
    from export.conversion import convert, count_macs
    from export.ensemble import export_ensemble
    from export.inspection.file import Inspection, inspect
    from export.localization import LayerDifference, first_difference
    from export.onnx_export import ExportResult, export_checkpoint, find_checkpoints
    from export.parity import Case, Expected, certify, expect, make_cases

__all__ = [
    "Case",
    "Expected",
    "ExportResult",
    "Inspection",
    "LayerDifference",
    "certify",
    "convert",
    "count_macs",
    "expect",
    "export_checkpoint",
    "export_ensemble",
    "find_checkpoints",
    "first_difference",
    "inspect",
    "make_cases",
]

__getattr__ = lazily(
    __name__,
    {
        "export.conversion": ("convert", "count_macs"),
        "export.ensemble": ("export_ensemble",),
        "export.inspection.file": ("Inspection", "inspect"),
        "export.localization": ("LayerDifference", "first_difference"),
        "export.onnx_export": ("ExportResult", "export_checkpoint", "find_checkpoints"),
        "export.parity": ("Case", "Expected", "certify", "expect", "make_cases"),
    },
)
