"""Turn checkpoints into ONNX files that describe themselves and were compared with PyTorch."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

if TYPE_CHECKING:
    from export.conversion import convert as convert, count_macs as count_macs
    from export.inspection.file import Inspection as Inspection, inspect as inspect
    from export.localization import (
        LayerDifference as LayerDifference,
        first_difference as first_difference,
    )
    from export.onnx_export import (
        ExportResult as ExportResult,
        export_checkpoints as export_checkpoints,
        is_exported as is_exported,
    )
    from export.parity import (
        ParityCase as ParityCase,
        ReferenceOutput as ReferenceOutput,
        certify as certify,
        make_parity_cases as make_parity_cases,
        run_reference as run_reference,
    )
    from export.request import (
        ExportRequest as ExportRequest,
        check_files as check_files,
        default_output as default_output,
        find_checkpoints as find_checkpoints,
    )

__getattr__, __dir__ = lazy_imports(__name__)
