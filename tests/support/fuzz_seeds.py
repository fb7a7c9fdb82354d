"""What fuzzing begins with: a small sound file of each kind, made here."""

import io
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

SIDE = 24


def _picture(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE]
    levels = np.stack([9 * x, 9 * y, 4 * (x + y)], axis=2).astype(np.uint8)
    return Image.fromarray(levels).convert(mode)


def _encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def images() -> list[bytes]:
    """Every format that is read, in the modes and with the extras that its writer knows."""
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("a", "b" * 50, zip=True)
    notes.add_itxt("c", "d" * 50, zip=True)
    exif = Image.Exif()
    exif[274], exif[270] = 6, "words"
    frames = [_picture(), _picture().rotate(90)]
    return [
        _encoded(_picture(), "PNG", pnginfo=notes, icc_profile=bytes(60), exif=exif),
        _encoded(_picture("P"), "PNG", transparency=3),
        _encoded(_picture("LA"), "PNG"),
        _encoded(_picture("1"), "PNG"),
        _encoded(Image.fromarray(np.full((SIDE, SIDE), 999, np.uint16)), "PNG", transparency=999),
        _encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        _encoded(_picture(), "JPEG", exif=exif, icc_profile=bytes(60), dpi=(72, 72)),
        _encoded(_picture("L"), "JPEG", progressive=True),
        _encoded(_picture("CMYK"), "JPEG"),
        _encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        _encoded(_picture(), "BMP"),
        _encoded(_picture("P"), "BMP"),
        *(
            _encoded(_picture(), "TIFF", compression=compression, exif=exif)
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        _encoded(_picture("1"), "TIFF", compression="group4"),
        _encoded(_picture("L"), "TIFF", big_tiff=True),
        _encoded(_picture(), "WEBP", exif=exif),
        _encoded(_picture("RGBA"), "WEBP", lossless=True),
        _encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
    ]


def nifti_files() -> list[bytes]:
    """NIfTI-1 and NIfTI-2, one of them compressed, by nibabel."""
    import gzip

    import nibabel as nib

    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    first = nib.Nifti1Image(voxels, affine).to_bytes()
    second = nib.Nifti2Image(voxels.astype(np.float32), affine).to_bytes()
    return [first, second, gzip.compress(first, mtime=0)]


def segmentations() -> list[bytes]:
    """Lists of segmentations, as an image's annotations hold them."""
    polygons = [[2, 2, 20, 2.5, 20, 18, 2, 18], [1, 1, 5, 1, 5, 5]]
    return [
        json.dumps([polygons]).encode(),
        json.dumps([{"size": [SIDE, SIDE], "counts": [100, 50, SIDE * SIDE - 150]}]).encode(),
        json.dumps([{"size": [SIDE, SIDE], "counts": "T3b1h>"}, polygons]).encode(),
    ]


def coco() -> list[bytes]:
    """COCO files whose images are NUMBER.png."""
    box = [4, 5, 9, 10]
    shapes: list[Any] = [[[4, 5, 13, 5, 13, 15, 4, 15]], None]
    shapes.append({"size": [SIDE, SIDE], "counts": [100, 50, SIDE * SIDE - 150]})
    whole = {
        "info": {"description": "seed"},
        "licenses": [{"id": 1, "name": "CC0"}],
        "categories": [{"id": 1, "name": "lesion", "supercategory": "none"}],
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": SIDE, "height": SIDE} for n in range(6)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": box, "segmentation": shapes[n % 3]}
            for n in range(6)
        ],
    }
    bare = {key: whole[key] for key in ("images", "annotations")}
    return [json.dumps(whole).encode(), json.dumps(bare).encode()]


def metadata() -> list[bytes]:
    """Documents as an exported file has them."""
    from runtime.model.metadata import (
        InputSpec,
        MemberInfo,
        Metadata,
        NetworkInfo,
        OutputSpec,
        TrainingInfo,
        dump_metadata,
    )

    network = NetworkInfo("scratch", 4, 1000, 2000)
    training = TrainingInfo(
        "set", "00", "CC0", {"train": 3}, "boxes", 2, 1, 4, 1e-3, 0, "Adam", "bce", {"loss": 0.5},
        {"torch": "2"},
    )  # fmt: skip
    spec, output = InputSpec(SIDE, SIDE, 8), OutputSpec(("tumor",))
    alone = Metadata("net", spec, output, network, training)
    member = MemberInfo("net", network, training, None)
    together = Metadata("both", spec, output, network, members=(member, member))
    return [dump_metadata(record).encode() for record in (alone, together)]


def golden_pairs() -> list[bytes]:
    """Golden pairs as an exported file has them."""
    from runtime.model.golden import Difference, dump_golden, golden_scan, make_golden

    output = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    scan = golden_scan((SIDE, SIDE), 0)
    tolerance = Difference(1e-5, 1e-6)
    pair = make_golden(scan, output, tolerance=tolerance, reference="PyTorch in float64")
    return [dump_golden(pair).encode()]


def dicom_files() -> list[bytes]:
    """An image with all that turns pixels into gray, one of many frames, and a segmentation."""
    from pydicom.dataset import Dataset
    from pydicom.uid import RLELossless

    from runtime.data.volumes.dicom_seg import write_dicom
    from runtime.data.volumes.dicom_series import read_dicom
    from runtime.data.volumes.volume import PredictedBy
    from tests.support.dicom_data import image, many_frames, saved

    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    table = Dataset()
    table.add_new("LUTDescriptor", "SS", [4, -2, 8])
    table.add_new("LUTData", "US", [0, 9, 99, 255])
    tables = {"ModalityLUTSequence": [table], "VOILUTSequence": [table]}
    plain = image(voxels[0], (0, 0, 0), PixelPaddingValue=3, **tables)
    window = image(voxels[0], (0, 0, 0), WindowCenter=[4, 5], WindowWidth=[9, 9])
    packed = image(voxels[0], (0, 0, 0))
    packed.compress(RLELossless)
    contents = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scan.dcm"
        for made in (plain, window, packed, many_frames(voxels, [1.0, 2.0])):
            contents.append(saved(made, path).read_bytes())
        volume = read_dicom(path)
        result = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
        network = PredictedBy("net.onnx", "00")
        for written in write_dicom(volume, result, 0.5, Path(folder) / "result", network):
            contents.append(written.read_bytes())
    return contents


def onnx_files() -> list[bytes]:
    """A plain network, one with metadata, and one whose weights lie in another file."""
    import onnx
    from onnx import TensorProto, helper

    from runtime.core.schema import to_dict
    from runtime.model.checksums import CHECKSUMS_KEY, Checksums
    from runtime.model.metadata import KEY

    def network(*tensors: TensorProto, nodes: tuple[Any, ...] = ()) -> Any:
        sides = ("batch", 1, SIDE, "width")
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("x", "y")
        ]
        graph = helper.make_graph(
            [*nodes, helper.make_node("Mul", ["x", "w"], ["h"], doc_string="words"),
             helper.make_node("Sigmoid", ["h"], ["y"])],
            "seed", values[:1], values[1:], list(tensors),
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.5])
    described = network(weight, nodes=(helper.make_node("Constant", [], ["c"], value=weight),))
    checksums = Checksums("00", "00", "00", {"w": "00"})
    notes = {KEY: metadata()[0].decode(), CHECKSUMS_KEY: json.dumps(to_dict(checksums))}
    helper.set_model_props(described, {"author": "a"} | notes)
    outside = onnx.TensorProto()
    outside.CopyFrom(weight)
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../secret")
    return [proto.SerializeToString() for proto in (network(weight), described, network(outside))]


def configs() -> list[bytes]:
    """Training settings."""
    from runtime.core.schema import to_dict
    from train.config import demo_config, study_config

    changed = study_config("set", "resnet50", unfreeze_epoch=3, loss="dice", augment=True)
    return [json.dumps(to_dict(c)).encode() for c in (demo_config("set", "scratch"), changed)]


def checkpoints() -> list[bytes]:
    """A whole checkpoint, and one kept for export, in both forms of `torch.save`."""
    import torch

    from runtime.core.schema import to_dict
    from train.config import demo_config
    from train.history import EpochRow
    from train.network import UNet

    network = UNet("scratch", 1)
    values: list[Any] = [0.5] * 17
    row = EpochRow(1, *values)
    whole: dict[str, Any] = {
        "format": 1,
        "config": to_dict(demo_config("set", "scratch", width=1)),
        "data": {"name": "set", "sha256": "00", "license": None, "images": {"train": 3}},
        "encoder_weights": None,
        "versions": {"torch": "2"},
        "history": [to_dict(row)],
        "weights": network.state_dict(),
        "optimizer": torch.optim.Adam(network.parameters()).state_dict(),
        "scheduler": {"best": math.inf},
    }
    kept = {
        **whole,
        "encoder_weights": {"source": "a", "sha256": "b", "stride_in_1x1": False},
        "optimizer": None,
        "scheduler": None,
    }
    return [_saved(whole), _saved(kept), _saved(kept, zipped=False)]


def _saved(content: object, *, zipped: bool = True) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def safetensors_files() -> list[bytes]:
    """The weights of `fuzz_targets.tiny_encoder`."""
    import torch
    from safetensors.torch import save

    state = torch.nn.Conv2d(1, 2, 3).state_dict()
    return [
        save(state, {"license": "MIT", "stride_in_1x1": "false"}),
        save({name: value.half() for name, value in state.items()}),
    ]


def weights_files() -> list[bytes]:
    """The same as PyTorch writes them."""
    import torch

    state = torch.nn.Conv2d(1, 2, 3).state_dict()
    return [_saved(dict(state)), _saved(dict(state), zipped=False)]


def studies() -> list[bytes]:
    """The study that comes with the toolkit, with fewer samples."""
    path = Path(__file__).resolve().parents[2] / "artifacts" / "study" / "study.json"
    return [json.dumps(_shortened(json.loads(path.read_text()))).encode()]


def _shortened(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _shortened(value) for key, value in content.items()}
    return [_shortened(item) for item in content[:3]] if isinstance(content, list) else content
