"""Run segmentation networks from ONNX files, and score them: numpy and ONNX Runtime, no PyTorch."""

import os
from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

# ONNX Runtime from 1.29 on tells its maker of each network that it loads, by name and hash. It can
# be told not to only before it is imported; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from runtime.core.errors import (
        AnnotationError as AnnotationError,
        CheckpointError as CheckpointError,
        ClusterError as ClusterError,
        ConfigError as ConfigError,
        DataError as DataError,
        ImageError as ImageError,
        MeasurementError as MeasurementError,
        MissingExtraError as MissingExtraError,
        ModelError as ModelError,
        NonFiniteLossError as NonFiniteLossError,
        OutputError as OutputError,
        ParityError as ParityError,
        ProviderError as ProviderError,
        SegmentationError as SegmentationError,
        StoppedError as StoppedError,
        TrainingError as TrainingError,
        UseError as UseError,
    )
    from runtime.core.version import __version__ as __version__
    from runtime.data.audit import (
        Audit as Audit,
        AuditSummary as AuditSummary,
        audit_dataset as audit_dataset,
        summarize as summarize,
    )
    from runtime.data.check import (
        CheckReport as CheckReport,
        SplitSummary as SplitSummary,
        check_dataset as check_dataset,
    )
    from runtime.data.coco import Dataset as Dataset, read_dataset as read_dataset
    from runtime.data.configs import LinkRule as LinkRule, PhantomConfig as PhantomConfig
    from runtime.data.defects import Defect as Defect
    from runtime.data.grouped_split import (
        GroupedSplit as GroupedSplit,
        read_shares as read_shares,
        split_by_group as split_by_group,
    )
    from runtime.data.images import Scan as Scan, load_scan as load_scan
    from runtime.data.manifest import manifest_sha256 as manifest_sha256
    from runtime.data.phantom import (
        ensure_phantom as ensure_phantom,
        make_phantom as make_phantom,
    )
    from runtime.data.readable import Skipped as Skipped, readable_part as readable_part
    from runtime.data.resizing import to_input as to_input
    from runtime.data.samples import Annotation as Annotation, Sample as Sample
    from runtime.data.split import Split as Split
    from runtime.data.split_files import (
        locate_images as locate_images,
        write_split as write_split,
    )
    from runtime.metrics import (
        PixelSums as PixelSums,
        Scores as Scores,
        Spread as Spread,
        image_scores as image_scores,
        pixel_sums as pixel_sums,
        pooled as pooled,
        scores as scores,
        spread as spread,
        thresholded_sums as thresholded_sums,
    )
    from runtime.model.certificate import Parity as Parity
    from runtime.model.metadata import Metadata as Metadata
    from runtime.model.onnx_file import (
        OnnxFile as OnnxFile,
        TensorInfo as TensorInfo,
        read_onnx as read_onnx,
    )
    from runtime.model.overlay import draw_overlay as draw_overlay
    from runtime.model.predictor import Predictor as Predictor, concurrency_for as concurrency_for
    from runtime.model.provider_choice import (
        ProviderChoice as ProviderChoice,
        TriedProvider as TriedProvider,
        choose_provider as choose_provider,
    )
    from runtime.model.provider_devices import installed_providers as installed_providers
    from runtime.model.providers import ProviderRequest as ProviderRequest
    from runtime.model.sessions import Engine as Engine
    from runtime.model.verification import (
        Check as Check,
        Verification as Verification,
        verify as verify,
    )
    from runtime.scoring.baselines import evaluate_baselines as evaluate_baselines
    from runtime.scoring.bootstrap import Bootstrap as Bootstrap
    from runtime.scoring.calibration import (
        Calibration as Calibration,
        CalibrationSums as CalibrationSums,
    )
    from runtime.scoring.clinical_config import ClinicalConfig as ClinicalConfig
    from runtime.scoring.comparison import (
        Comparison as Comparison,
        MetricDifference as MetricDifference,
        compare as compare,
    )
    from runtime.scoring.evaluation import (
        Averages as Averages,
        Evaluation as Evaluation,
        evaluate as evaluate,
    )
    from runtime.scoring.files import evaluate_files as evaluate_files
    from runtime.scoring.intervals import Interval as Interval
    from runtime.scoring.lesions import (
        LesionCounts as LesionCounts,
        lesion_counts as lesion_counts,
    )
    from runtime.scoring.patients import PatientScores as PatientScores, PatientSums as PatientSums
    from runtime.scoring.results import (
        EvaluationReport as EvaluationReport,
        ScoredFile as ScoredFile,
        read_report as read_report,
        write_patients as write_patients,
        write_report as write_report,
        write_samples as write_samples,
    )
    from runtime.scoring.sample_sums import SampleSums as SampleSums
    from runtime.scoring.surface import (
        SurfaceScores as SurfaceScores,
        surface_scores as surface_scores,
    )

__getattr__, __dir__ = lazy_imports(__name__)
