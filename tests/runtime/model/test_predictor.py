import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError, ImageError, ModelError, ProviderError
from runtime.core.machine import available_cores
from runtime.core.settings import Resize
from runtime.data.coco import Dataset
from runtime.data.framing import Framing
from runtime.data.images import decode_image, load_scan
from runtime.model.metadata import KEY, dump_metadata
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import MAX_CONCURRENCY, Predictor, concurrency_for
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import open_engine
from tests.support.model_builder import ModelBuilder


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor(model, threads=1)


@pytest.fixture(scope="module")
def scans(phantom_data: Dataset) -> list[Path]:
    return [sample.path for sample in phantom_data.split("test").samples]


def test_a_map_has_the_images_own_size_and_lies_in_0_to_1(
    predictor: Predictor, tmp_path: Path
) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70), np.uint8)).save(path)
    probability = predictor(path)
    assert probability.shape == (50, 70)
    assert probability.dtype == np.float32
    assert probability.min() >= 0.0
    assert probability.max() <= 1.0


def test_the_intensity_is_the_networks_own_unless_another_is_given(
    model: Path, tmp_path: Path
) -> None:
    about = read_onnx(model).metadata
    assert about is not None
    proto = onnx.load(model)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == KEY)
    entry.value = dump_metadata(replace(about, input=replace(about.input, intensity=4095)))
    onnx.save(proto, tmp_path / "m.onnx")
    levels = np.random.default_rng(0).integers(0, 4096, (32, 32), np.uint16)
    own = Predictor(tmp_path / "m.onnx", threads=1)
    given = Predictor(tmp_path / "m.onnx", threads=1, intensity=65535)
    assert (own.intensity, given.intensity) == (4095, 65535)
    np.testing.assert_array_equal(own(levels), Predictor(model, threads=1, intensity=4095)(levels))
    assert np.abs(own(levels) - given(levels)).max() > 1e-4


def test_it_computes_what_pytorch_computes(
    predictor: Predictor, run_folder: Path, scans: list[Path]
) -> None:
    torch = pytest.importorskip("torch")
    from train.checkpoint import build_network, load_checkpoint

    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    for path in scans:
        pixels = np.asarray(
            Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        )
        image = torch.from_numpy(pixels.astype(np.float32) / 255.0).permute(2, 0, 1)[None]
        with torch.no_grad():
            small = torch.sigmoid(network(image))[0, 0].numpy()
        expected = np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(predictor(path), expected, atol=1e-5)


def test_path_bytes_picture_and_array_give_the_same(
    predictor: Predictor, scans: list[Path]
) -> None:
    path = scans[0]
    expected = predictor(path)
    pixels = load_scan(path).pixels
    for source in (str(path), path.read_bytes(), Image.open(path), pixels):
        np.testing.assert_array_equal(predictor(source), expected)


def test_stream_and_batch_give_what_single_calls_give(model: Path, scans: list[Path]) -> None:
    batched = Predictor(model, threads=1, batch_size=3)
    single = Predictor(model, threads=1)
    expected = [single(path) for path in scans]
    for results in (list(batched.stream(iter(scans))), batched.predict_batch(scans)):
        assert len(results) == len(scans)
        for found, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_stream_is_lazy(predictor: Predictor, scans: list[Path]) -> None:
    taken = []

    def endless() -> "object":
        while True:
            taken.append(1)
            yield scans[0]

    stream = predictor.stream(endless())  # type: ignore[arg-type]
    next(stream)
    assert len(taken) <= 4
    stream.close()  # type: ignore[attr-defined]


def test_an_unreadable_image_fails_at_its_place(
    predictor: Predictor, scans: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    stream = predictor.stream([scans[0], broken])
    next(stream)
    with pytest.raises(ImageError, match=r"broken\.png"):
        next(stream)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_images_before_an_unreadable_one_of_their_batch_come_out(
    model: Path, scans: list[Path], tmp_path: Path, concurrency: int
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    predictor = Predictor(model, threads=2, batch_size=3, concurrency=concurrency)
    expected = [predictor(path) for path in scans[:2]]
    stream = predictor.stream([*scans[:2], broken, scans[0]])
    for wanted in expected:
        np.testing.assert_allclose(next(stream), wanted, atol=1e-6)
    with pytest.raises(ImageError, match=r"broken\.png"):
        next(stream)


def test_as_many_batches_as_asked_are_computed_at_once(
    model: Path, scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(model, threads=3, concurrency=3)
    together, compute = threading.Barrier(3), predictor._compute

    def waiting(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        together.wait(timeout=300)  # breaks, and raises, where fewer than three run at once
        return compute(inputs)

    monkeypatch.setattr(predictor, "_compute", waiting)
    found = list(predictor.stream((scans * 3)[:6]))
    monkeypatch.undo()
    assert len(found) == 6
    for one, path in zip(found, scans * 3, strict=False):
        np.testing.assert_array_equal(one, predictor(path))


@given(st.none() | st.integers(1, 300))
def test_concurrency_is_of_the_threads(threads: int | None) -> None:
    found = concurrency_for(threads)
    assert 1 <= found <= min(threads or available_cores(), MAX_CONCURRENCY)
    assert found == concurrency_for(found)


@pytest.mark.parametrize("source", [3, None, ["scan.png"], object()])
def test_what_is_no_image_is_refused(predictor: Predictor, source: Any) -> None:
    words = f"<{type(source).__name__}>: not a path, an encoded file, a PIL image or an array"
    for call in (predictor, lambda one: predictor.predict_batch([one]), load_scan):
        with pytest.raises(ImageError, match=words):
            call(source)


def test_one_predictor_serves_many_threads(predictor: Predictor, scans: list[Path]) -> None:
    expected = [predictor(path) for path in scans]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(predictor, scans * 20))
    for found, wanted in zip(results, expected * 20, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_other_sizes_in_its_multiples_work_and_others_are_refused(model: Path) -> None:
    larger = Predictor(model, size=(48, 64), threads=1)
    assert larger(np.zeros((10, 10), np.uint8)).shape == (10, 10)
    with pytest.raises(ConfigError, match=r"tiny\.onnx: .*multiples of 16 .*found 40x32"):
        Predictor(model, size=(40, 32))
    with pytest.raises(ConfigError, match=r"tiny\.onnx: .*multiples of 16 .*found 20x32"):
        larger.run(np.zeros((1, 3, 20, 32), np.float32))
    with pytest.raises(ConfigError, match=r"inputs float32 \[N, 3, H, W\], found float64"):
        larger.run(np.zeros((1, 3, 32, 32)))  # type: ignore[arg-type]


def test_a_file_of_another_origin_runs_with_a_size(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    path = build_onnx(tmp_path / "foreign.onnx")
    with pytest.raises(
        ModelError, match=r"foreign\.onnx: the file does not state its input's size; give --size"
    ):
        Predictor(path)
    assert Predictor(path, size=(20, 30), threads=1)(np.zeros((5, 6, 3), np.uint8)).shape == (5, 6)


def test_a_fixed_size_needs_no_metadata_and_allows_no_other(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    path = build_onnx(tmp_path / "fixed.onnx", shape=(1, 3, 16, 24))
    assert Predictor(path, threads=1).size == (16, 24)
    with pytest.raises(ConfigError, match=r"fixed\.onnx: expected an input of 16x24, found 32x32"):
        Predictor(path, size=(32, 32))


@pytest.mark.parametrize(
    ("shape", "channels", "message"),
    [
        (("batch", 1, "height", "width"), 1, "one input"),
        (("batch", 3), 1, "one input"),
        (("batch", 3, "height", "width"), 2, "one output"),
    ],
)
def test_another_input_or_output_is_refused(
    build_onnx: ModelBuilder,
    tmp_path: Path,
    shape: tuple[int | str, ...],
    channels: int,
    message: str,
) -> None:
    path = build_onnx(tmp_path / "m.onnx", shape=shape, channels=channels)
    with pytest.raises(ModelError, match=rf"m\.onnx: expected {message} float32 \[batch, "):
        Predictor(path, size=(32, 32))


def test_an_output_that_is_no_probability_is_refused(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    path = build_onnx(tmp_path / "logits.onnx", activation="Identity")
    predictor = Predictor(path, size=(8, 8), threads=1)
    with pytest.raises(ModelError, match=r"logits\.onnx: expected probabilities in \[0, 1\]"):
        predictor(np.full((8, 8, 3), [0, 255, 0], np.uint8))


def test_settings_out_of_range_are_refused(model: Path) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 256 threads"):
        Predictor(model, threads=0)
    with pytest.raises(ConfigError, match="found 9999"):
        Predictor(model, threads=9999)
    with pytest.raises(ConfigError, match="batch of at least one"):
        Predictor(model, batch_size=0)
    for concurrency in (0, 3):
        with pytest.raises(ConfigError, match=f"of threads, 2, found {concurrency}"):
            Predictor(model, threads=2, concurrency=concurrency)
    with pytest.raises(ProviderError, match=r"provider: there is no 'nosuch'; choose from cpu, "):
        Predictor(model, provider="nosuch")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_not_finite_is_refused(
    build_onnx: ModelBuilder, tmp_path: Path, value: float
) -> None:
    """INT8 files and OpenVINO compute probabilities of it that look right."""
    predictor = Predictor(build_onnx(tmp_path / "m.onnx"), size=(8, 8), threads=1)
    inputs = np.zeros((1, 3, 8, 8), np.float32)
    assert predictor.run(inputs).shape == (1, 8, 8)
    inputs[0, 0, 3, 3] = value
    with pytest.raises(ConfigError, match=r"m\.onnx: expected finite inputs, found NaN or infin"):
        predictor.run(inputs)


def test_an_input_that_is_no_array_is_refused(model: Path) -> None:
    predictor = Predictor(model, threads=1)
    for inputs in (None, "a", [[0.0]]):
        with pytest.raises(ConfigError, match=f"expected an array, found {type(inputs).__name__}$"):
            predictor.run(inputs)  # type: ignore[arg-type]


def test_an_output_of_nan_is_refused(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "m.onnx", activation="Log")
    predictor = Predictor(path, size=(8, 8), threads=1)
    with pytest.raises(ModelError, match=r"m\.onnx: expected probabilities in \[0, 1\]"):
        predictor(np.full((8, 8, 3), [0, 255, 0], np.uint8))


def test_a_fixed_size_allows_no_other_input(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    fixed = Predictor(build_onnx(tmp_path / "fixed.onnx", shape=("n", 3, 16, 24)), threads=1)
    message = r"fixed\.onnx: expected an input of 16x24, found 32x24"
    with pytest.raises(ConfigError, match=message):
        fixed.run(np.zeros((1, 3, 32, 24), np.float32))
    dynamic = Predictor(build_onnx(tmp_path / "dynamic.onnx"), size=(16, 24), threads=1)
    assert dynamic.run(np.zeros((2, 3, 31, 7), np.float32)).shape == (2, 31, 7)


def test_a_network_that_was_compiled_for_one_image_takes_no_other_input(
    build_onnx: ModelBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_cpu(path: Path, request: ProviderRequest, **rest: Any) -> Any:
        return open_engine(path, ProviderRequest(), **rest)

    monkeypatch.setattr("runtime.model.predictor.open_engine", on_cpu)
    path = build_onnx(tmp_path / "m.onnx")
    compiled = Predictor(path, size=(16, 24), threads=1, provider="openvino")
    assert compiled.run(np.zeros((1, 3, 16, 24), np.float32)).shape == (1, 16, 24)
    for shape in ((2, 3, 16, 24), (0, 3, 16, 24), (1, 3, 24, 16)):
        message = rf"expected inputs of \[1, 3, 16, 24\], .* found \[{shape[0]}, 3, {shape[2]}, "
        with pytest.raises(ConfigError, match=message):
            compiled.run(np.zeros(shape, np.float32))
    of_any = Predictor(path, size=(16, 24), threads=1, provider="openvino", batch_size=2)
    assert of_any.run(np.zeros((3, 3, 24, 16), np.float32)).shape == (3, 24, 16)


def test_batches_share_the_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that calls a session computes too, so all together are as many as asked for."""
    asked: list[tuple[int, int]] = []

    def record(path: Path, request: Any, *, threads: int, parallel: int, **rest: Any) -> Any:
        asked.append((threads, parallel))
        return open_engine(path, request, threads=threads, parallel=parallel, **rest)

    monkeypatch.setattr("runtime.model.predictor.open_engine", record)
    for concurrency in (1, 2, 4):
        Predictor(model, threads=4, concurrency=concurrency)
    assert asked == [(4, 1), (4, 2), (4, 4)]


@pytest.mark.parametrize(("batch_size", "concurrency"), [(1, 1), (3, 1), (2, 2)])
def test_few_images_are_in_memory_at_once(
    model: Path, scans: list[Path], batch_size: int, concurrency: int
) -> None:
    predictor = Predictor(model, threads=2, batch_size=batch_size, concurrency=concurrency)
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield scans[0]

    stream = predictor.stream(endless())
    for _ in range(5):
        next(stream)
    # Batches ahead and one being read, and as many images loaded ahead of them.
    assert taken - 5 <= 2 * (concurrency + 2) * batch_size + batch_size


def edited(path: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
    model = onnx.load(path)
    edit(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("shape", [("batch", "height", "width", 3), (1, 16, 24, 3), (1, 1, 3, 3)])
def test_channels_last_are_named(
    build_onnx: ModelBuilder, tmp_path: Path, shape: tuple[int | str, ...]
) -> None:
    path = build_onnx(tmp_path / "nhwc.onnx", shape=shape)
    with pytest.raises(
        ModelError, match=r"nhwc\.onnx: the input .* has its channels last \(NHWC\)"
    ):
        Predictor(path, size=(16, 24))


def test_sides_of_minus_one_are_dynamic(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    """As Paddle2ONNX writes them."""
    path = build_onnx(tmp_path / "m.onnx", shape=(-1, 3, -1, -1))
    with pytest.raises(ModelError, match="does not state its input's size"):
        Predictor(path)
    predictor = Predictor(path, size=(8, 12), threads=1)
    assert predictor.fixed_batch is None
    assert predictor(np.zeros((5, 6, 3), np.uint8)).shape == (5, 6)


@pytest.mark.parametrize("part", ["input", "output"])
def test_a_tensor_without_a_stated_shape_runs(
    build_onnx: ModelBuilder, tmp_path: Path, part: str
) -> None:
    def forget(model: onnx.ModelProto) -> None:
        getattr(model.graph, part)[0].type.tensor_type.ClearField("shape")

    path = edited(build_onnx(tmp_path / "m.onnx"), forget)
    with pytest.raises(ModelError, match="does not state its input's size"):
        Predictor(path)
    expected = Predictor(build_onnx(tmp_path / "stated.onnx"), size=(8, 12), threads=1)
    image = np.full((5, 6, 3), 100, np.uint8)
    np.testing.assert_array_equal(Predictor(path, size=(8, 12), threads=1)(image), expected(image))


def test_an_output_without_a_stated_shape_is_checked_when_it_runs(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    def forget(model: onnx.ModelProto) -> None:
        model.graph.output[0].type.tensor_type.ClearField("shape")

    path = edited(build_onnx(tmp_path / "m.onnx", channels=2), forget)
    predictor = Predictor(path, size=(8, 12), threads=1)
    with pytest.raises(ModelError, match=r"expected an output of \[1, 1, 8, 12\], found \[1, 2"):
        predictor(np.zeros((8, 12, 3), np.uint8))


@pytest.mark.parametrize(
    ("value", "clipped"), [(np.nextafter(np.float32(1), np.float32(2)), 1.0), (-1e-6, 0.0)]
)
def test_rounding_beyond_the_range_is_clipped(
    build_onnx: ModelBuilder, tmp_path: Path, value: float, clipped: float
) -> None:
    path = build_onnx(tmp_path / "m.onnx", activation="Identity")

    def give(model: onnx.ModelProto) -> None:
        (weight,) = model.graph.initializer
        values = np.array([[[[value]], [[0.0]], [[0.0]]]], np.float32)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))

    predictor = Predictor(edited(path, give), size=(4, 4), threads=1)
    found = predictor.run(np.ones((1, 3, 4, 4), np.float32))
    np.testing.assert_array_equal(found, np.full((1, 4, 4), clipped, np.float32))


def test_a_fixed_batch_of_one_predicts_many_images(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    path = build_onnx(tmp_path / "m.onnx", shape=(1, 3, 8, 8))
    predictor = Predictor(path, threads=1, batch_size=4)
    assert (predictor.fixed_batch, predictor.batch_size) == (1, 1)
    assert len(predictor.predict_batch([np.zeros((8, 8, 3), np.uint8)] * 3)) == 3


@pytest.mark.parametrize("size", [(0, 0), (8, 0), (8193, 8)])
def test_a_size_out_of_range_is_refused(
    build_onnx: ModelBuilder, tmp_path: Path, size: tuple[int, int]
) -> None:
    with pytest.raises(ConfigError, match="size: expected 1 to 8192 pixels a side"):
        Predictor(build_onnx(tmp_path / "m.onnx"), size=size)


def damage_weight(model: onnx.ModelProto) -> str:
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    content = bytearray(weight.raw_data)
    content[7] ^= 0x40  # as a bit that flips on a disk
    weight.raw_data = bytes(content)
    return str(weight.name)


def test_a_file_whose_weights_changed_is_refused(model: Path, tmp_path: Path) -> None:
    names = []
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.read_bytes())
    edited(path, lambda content: names.append(damage_weight(content)))
    message = rf"changed\.onnx: changed since its export \({names[0]} changed\).*--no-verify"
    with pytest.raises(ModelError, match=message):
        Predictor(path)
    assert Predictor(path, threads=1, verify=False).size == Predictor(model, threads=1).size


def test_a_file_whose_graph_changed_is_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.read_bytes())
    edited(path, lambda content: setattr(content.graph.node[0], "name", "another"))
    with pytest.raises(ModelError, match=r"changed since its export \(its graph\)"):
        Predictor(path)


def pixelwise(build_onnx: ModelBuilder, tmp_path: Path, **settings: Any) -> Predictor:
    """Return a network that looks at each pixel alone."""
    path = build_onnx(tmp_path / "pixels.onnx")
    return Predictor(path, size=(16, 16), threads=1, **settings)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_windows_give_what_the_whole_image_gives_at_their_scale(
    build_onnx: ModelBuilder, tmp_path: Path, batch_size: int
) -> None:
    """The network looks at single pixels, and 16x40 is the scale of both: no resize is left."""
    image = np.random.default_rng(0).integers(0, 256, (16, 40, 3), np.uint8)
    whole = Predictor(build_onnx(tmp_path / "pixels.onnx"), size=(16, 40), threads=1)
    tiled = pixelwise(build_onnx, tmp_path, resize="tile", batch_size=batch_size)
    np.testing.assert_allclose(tiled(image), whole(image), atol=1e-6)
    upright = image.transpose(1, 0, 2)
    maps = tiled.predict_batch([image, upright, image[:, :16]])
    np.testing.assert_allclose(maps[0], whole(image), atol=1e-6)
    np.testing.assert_allclose(maps[1], whole(image).T, atol=1e-6)
    assert [found.shape for found in maps] == [(16, 40), (40, 16), (16, 16)]


@pytest.mark.parametrize("resize", ["fit", "tile"])
def test_an_image_of_the_inputs_proportions_gives_the_same_bits_by_every_rule(
    model: Path, scans: list[Path], resize: Resize
) -> None:
    stretched, other = (Predictor(model, threads=1, resize=r) for r in ("stretch", resize))
    for scan in scans:
        np.testing.assert_array_equal(other(scan), stretched(scan))


def test_a_fitted_image_is_computed_with_black_margins_that_are_cut_away(
    model: Path, tmp_path: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 16), np.uint8)
    padded = np.pad(image, ((0, 0), (8, 8)))
    expected = Predictor(model, threads=1)(padded)[:, 8:24]
    np.testing.assert_array_equal(Predictor(model, threads=1, resize="fit")(image), expected)


def test_the_rule_of_the_training_is_the_default(model: Path, tmp_path: Path) -> None:
    about = read_onnx(model).metadata
    assert about is not None
    assert (about.input.resize, about.input.view_height, about.input.view_width) == (
        "stretch", 64, 64,
    )  # fmt: skip
    proto = onnx.load(model)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == KEY)
    entry.value = dump_metadata(replace(about, input=replace(about.input, resize="fit")))
    onnx.save(proto, tmp_path / "m.onnx")
    framings = [Predictor(tmp_path / "m.onnx", threads=1, resize=r).framing for r in (None, "tile")]
    assert [framing.resize for framing in framings] == ["fit", "tile"]
    assert {framing.view for framing in framings} == {(64, 64)}


def test_an_image_with_too_many_windows_is_refused(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    tiled = pixelwise(build_onnx, tmp_path, resize="tile")
    with pytest.raises(ImageError, match=r"would be resized to 4800000x16, more than 67108864"):
        tiled(np.zeros((1, 300_000), np.uint8))


def test_a_large_jpeg_is_decoded_at_the_scale_of_the_rule(tmp_path: Path) -> None:
    """A fitted image is smaller than a stretched one, so that a smaller scale suffices."""
    Image.new("RGB", (640, 160)).save(tmp_path / "a.jpg")
    sizes = [
        decode_image(tmp_path / "a.jpg", Framing((64, 64), resize).scaled)[0].size
        for resize in ("stretch", "fit", "tile")
    ]
    assert sizes == [(320, 80), (80, 20), (320, 80)]
