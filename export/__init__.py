"""Turn checkpoints into ONNX files that say what they are and that were compared with PyTorch."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

if TYPE_CHECKING:
    from export.conversion import convert as convert, count_macs as count_macs
    from export.ensemble import export_ensemble as export_ensemble
    from export.inspection.file import Inspection as Inspection, inspect as inspect
    from export.localization import (
        LayerDifference as LayerDifference,
        first_difference as first_difference,
    )
    from export.onnx_export import (
        ExportResult as ExportResult,
        export_checkpoint as export_checkpoint,
        find_checkpoints as find_checkpoints,
    )
    from export.parity import (
        Case as Case,
        Expected as Expected,
        certify as certify,
        expect as expect,
        make_cases as make_cases,
    )

__getattr__, __dir__ = lazy_imports(__name__)
