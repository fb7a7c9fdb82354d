"""The readers that are fuzzed: what each begins with, how it is changed, and what reads it.

A reader may return, or raise a `SegmentationError`; anything else is a failure.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from PIL import Image

from runtime.core.errors import AnnotationError, ConfigError, ModelError
from tests.support import fuzz_seeds
from tests.support.fuzz_mutations import Mutation, mutate_bytes, mutate_checkpoint, mutate_json


@dataclass(frozen=True, slots=True)
class Target:
    """A reader.

    Attributes:
        seeds: small sound files to begin with.
        mutate: changes one of them.
        read: reads the file at a path, which lies in a folder of its own.
        prepare: lays into that folder what the file refers to.
        file: the file's name below that folder.
        executions: how many the tests take, about a second of them.
        modules: what takes long to import, and so is imported before the reader's process begins.
    """

    seeds: Callable[[], list[bytes]]
    mutate: Mutation
    read: Callable[[Path], object]
    file: str
    executions: int
    prepare: Callable[[Path], object] = lambda folder: None
    modules: tuple[str, ...] = ()


def _image(path: Path) -> None:
    from runtime.data.images import load_scan

    for size in ((16, 8), None):
        scan = load_scan(path, size)
        assert scan.pixels.shape == (*(size or scan.original_size), 3)


def _nifti(path: Path) -> None:
    import numpy as np

    from runtime.data.volumes.nifti import read_nifti, write_nifti

    volume = read_nifti(path, "coronal")
    assert volume.read(volume.shape[0] - 1).shape == volume.shape[1:]
    if np.prod(volume.shape) < 1000:
        write_nifti(volume, np.zeros(volume.shape, np.float32), 0.5, path.with_name("out"))


def _dicom(path: Path) -> None:
    """Read a file as a volume, and as the labels of one."""
    from runtime.data.volumes.dicom_labels import read_segmentation
    from runtime.data.volumes.dicom_series import read_dicom
    from runtime.data.volumes.gray import VolumeSpec, gray_slices

    segmentation = read_segmentation(path)
    if segmentation is None:
        volume = read_dicom(path)
        assert volume.voxels.shape == volume.shape
        for spec in (VolumeSpec(range="stated"), VolumeSpec(range="window", low=0.0, high=9.0)):
            assert gray_slices(volume, spec)(0).shape == volume.shape[1:]
        return
    levels = {name: number for number, name in enumerate(segmentation.names.values(), start=1)}
    source = DicomSource(segmentation.size)
    for source.instance, source.frame in segmentation.frames:
        assert segmentation.labels(cast(Any, source), levels).shape == segmentation.size


@dataclass
class DicomSource:
    """As much of a `DicomImage` as a segmentation's labels take."""

    size: tuple[int, int]
    instance: str = ""
    frame: int = 0


def _coco_folder(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / split).mkdir()
        for number in range(6):
            picture = Image.linear_gradient("L").rotate(31 * number).resize((24, 24))
            picture.save(folder / split / f"{number}.png")
    sound = json.loads(fuzz_seeds.coco()[0])
    (folder / "test" / "_annotations.coco.json").write_text(json.dumps(sound))


def _coco(path: Path) -> None:
    from runtime.data.audit import audit_dataset
    from runtime.data.check import check_dataset
    from runtime.data.coco import read_dataset
    from runtime.data.grouped_split import split_by_group
    from runtime.data.manifest import manifest_sha256
    from runtime.data.similarity import LinkRule
    from runtime.data.split_files import write_split

    root = path.parents[1]
    dataset = read_dataset(root)
    check_dataset(dataset)
    for sample in dataset.split("train").samples:
        sample.mask((16, 8), "boxes")
        with contextlib.suppress(AnnotationError):
            sample.mask((16, 8), "segmentation")
    manifest_sha256(dataset.splits.values())
    split = split_by_group(dataset, audit_dataset(dataset, LinkRule()))
    written = root / "split"
    shutil.rmtree(written, ignore_errors=True)
    write_split(dataset, split, written)
    read_dataset(written)


def _masks(path: Path) -> None:
    from runtime.core.json_files import read_json
    from runtime.data.masks import mask_from_segmentations

    content = read_json(path, error=AnnotationError)
    for segmentation in content if isinstance(content, list) else [content]:
        with contextlib.suppress(AnnotationError):
            side = fuzz_seeds.SIDE
            mask_from_segmentations([segmentation], (side, side), (16, 40), where="fuzz")


def _metadata(path: Path) -> None:
    from runtime.model.metadata import dump_metadata, parse_metadata

    metadata = parse_metadata(path.read_text("utf-8", "replace"), "fuzz")
    with contextlib.suppress(ValueError):  # NaN, which was null
        assert parse_metadata(dump_metadata(metadata), "again") == metadata


def _golden(path: Path) -> None:
    from runtime.model.golden import dump_golden, golden_input, parse_golden

    golden = parse_golden(path.read_text("utf-8", "replace"), "fuzz")
    golden_input(golden, (fuzz_seeds.SIDE, fuzz_seeds.SIDE))
    assert parse_golden(dump_golden(golden), "again").tolerance == golden.tolerance


def _onnx(path: Path) -> None:
    from runtime.model.checksums import checksums_of, stated_checksums
    from runtime.model.onnx_file import read_onnx, read_parts

    read_onnx(path)
    parts = read_parts(path, each_weight=True)
    checksums_of(parts)
    with contextlib.suppress(ModelError):  # none in a file of another origin
        stated_checksums(parts, "fuzz")


def _config(path: Path) -> None:
    from runtime.core.json_files import read_json
    from runtime.core.schema import from_dict
    from train.config import TrainConfig

    content = read_json(path, error=ConfigError)
    assert from_dict(TrainConfig, content, where="fuzz", error=ConfigError).name


def _checkpoint(path: Path) -> None:
    from train.checkpoint import build_network, load_checkpoint

    build_network(load_checkpoint(path), path)


def tiny_encoder() -> Any:
    """As much of a `TorchvisionEncoder` as loading weights takes."""
    import torch

    from train.encoders import TorchvisionEncoder

    encoder: Any = TorchvisionEncoder.__new__(TorchvisionEncoder)
    torch.nn.Module.__init__(encoder)
    encoder.model, encoder.classifier_prefixes = "tiny", ("fc.",)
    encoder.backbone = torch.nn.Conv2d(1, 2, 3)
    return encoder


def _weights(path: Path) -> None:
    from train.weights import load_encoder_weights

    load_encoder_weights(tiny_encoder(), str(path))


def _study(path: Path) -> None:
    from bench.study.result import read_study

    read_study(path)


def _step_cache(path: Path) -> None:
    """Read the cached result of a step of `seg-study`."""
    from bench.study.step_cache import StepCache

    @dataclass(frozen=True)
    class Number:
        images: int

    StepCache(path.parent).cached("step", "inputs", Number)


def _step_seeds() -> list[bytes]:
    made_from = hashlib.sha256(b'"inputs"').hexdigest()
    return [json.dumps({"made_from": made_from, "result": {"images": 3}}).encode()]


_TORCH = ("train.checkpoint", "train.network")
TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "image": Target(
            fuzz_seeds.images,
            mutate_bytes,
            _image,
            "scan.png",
            800,
            modules=("runtime.data.images",),
        ),
        "nifti": Target(
            fuzz_seeds.nifti_files,
            mutate_bytes,
            _nifti,
            "scan.nii",
            300,
            modules=("nibabel", "runtime.data.volumes.nifti"),
        ),
        "dicom": Target(
            fuzz_seeds.dicom_files,
            mutate_bytes,
            _dicom,
            "scan.dcm",
            150,
            modules=("highdicom", "runtime.data.volumes.dicom_seg"),
        ),
        "coco": Target(
            fuzz_seeds.coco, mutate_json, _coco, "train/_annotations.coco.json", 30, _coco_folder
        ),
        "masks": Target(fuzz_seeds.segmentations, mutate_json, _masks, "masks.json", 600),
        "metadata": Target(fuzz_seeds.metadata, mutate_json, _metadata, "metadata.json", 500),
        "golden": Target(fuzz_seeds.golden_pairs, mutate_json, _golden, "golden.json", 500),
        "onnx": Target(
            fuzz_seeds.onnx_files, mutate_bytes, _onnx, "m.onnx", 750, modules=("onnx",)
        ),
        "config": Target(fuzz_seeds.configs, mutate_json, _config, "config.json", 600),
        "checkpoint": Target(
            fuzz_seeds.checkpoints, mutate_checkpoint, _checkpoint, "last.pt", 20, modules=_TORCH
        ),
        "safetensors": Target(
            fuzz_seeds.safetensors_files,
            mutate_bytes,
            _weights,
            "w.safetensors",
            500,
            modules=("safetensors.torch", *_TORCH),
        ),
        "weights": Target(
            fuzz_seeds.weights_files, mutate_checkpoint, _weights, "w.pth", 150, modules=_TORCH
        ),
        "study": Target(fuzz_seeds.studies, mutate_json, _study, "study.json", 40),
        "step": Target(_step_seeds, mutate_json, _step_cache, "step.json", 800),
    }
)
