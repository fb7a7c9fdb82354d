"""A network's part of a page: how to feed it, its golden pair, and its card in short."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.core.errors import ModelError
from runtime.core.json_files import parse_json
from runtime.model.golden import GOLDEN_KEY
from runtime.model.metadata import Metadata, TrainingInfo
from runtime.model.onnx_file import read_onnx, read_parts
from runtime.model.verification import verify


@dataclass(frozen=True, slots=True)
class PageModel:
    """A network for a page.

    Attributes:
        name: unique in the page.
        content: the ONNX file's bytes.
        view: (height, width) in pixels of most training images; the size of the input if unknown.
        golden: the golden pair, as the file states it.
        facts: (label, text) of what the file's metadata say.
    """

    name: str
    content: bytes
    input: str
    output: str
    size: tuple[int, int]
    view: tuple[int, int]
    golden: dict[str, Any]
    facts: tuple[tuple[str, str], ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of the ONNX file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_page_model(path: str | Path) -> PageModel:
    """Read a file that `export-onnx` has written, and verify it with this machine's ONNX Runtime.

    Raises:
        ModelError: the file cannot be read, has no metadata or golden pair, or fails its checks.
    """
    verification = verify(Path(path))
    failed = next((check for check in verification.checks if not check.passed), None)
    if failed is not None:
        raise ModelError(f"{path}: {failed.name}: {failed.found}")
    file = read_onnx(Path(path))
    golden = read_parts(Path(path)).properties.get(GOLDEN_KEY)
    if file.metadata is None or golden is None:
        raise ModelError(
            f"{path}: has no metadata or golden pair; a page needs a file that export-onnx wrote"
        )
    spec = file.metadata.input
    if spec.intensity is not None:
        raise ModelError(
            f"{path}: trained with --intensity {spec.intensity}, which a page does not apply to "
            "16-bit images"
        )
    if spec.resize != "stretch":
        raise ModelError(f"{path}: trained with --resize {spec.resize}; a page stretches images")
    return PageModel(
        name=Path(path).stem,
        content=Path(path).read_bytes(),
        input=file.inputs[0].name,
        output=file.outputs[0].name,
        size=(spec.height, spec.width),
        view=(spec.view_height or spec.height, spec.view_width or spec.width),
        golden=parse_json(golden, where=f"{path}: golden pair", error=ModelError),
        facts=tuple(_facts(file.metadata, file.file_bytes)),
    )


def _facts(about: Metadata, file_bytes: int) -> list[tuple[str, str]]:
    """Return what a reader of the page should know of a network."""
    network, spec = about.network, about.input
    facts = [
        ("Network", f"{network.arch}, width {network.width}, {about.precision}"),
        ("Parameters", f"{network.parameters:,}"),
        ("Compute", f"{network.macs / 1e9:.3g} GMACs per image of {spec.height}x{spec.width}"),
        ("File", f"{file_bytes / 1e6:.1f} MB"),
        ("License", about.license or "not stated"),
    ]
    trained = [about.training, *(member.training for member in about.members)]
    for training in trained:
        if training is not None:
            facts += _training_facts(training)
    if about.parity is not None:
        facts.append(
            (
                "Certificate",
                f"compared with PyTorch on {about.parity.inputs} inputs; probabilities differ by "
                f"at most {about.parity.max_probability:.1e}",
            )
        )
    return facts


def _training_facts(training: TrainingInfo) -> list[tuple[str, str]]:
    images = ", ".join(f"{count} {split}" for split, count in training.images.items())
    license_note = f", {training.data_license}" if training.data_license else ""
    iou = training.validation.get("iou")
    scores = [] if iou is None else [("Validation", f"soft IoU {iou:.3f}, mean over images")]
    data = f"{training.data_name}{license_note} ({images} images), masks from {training.masks}"
    return [("Data", data), *scores]
