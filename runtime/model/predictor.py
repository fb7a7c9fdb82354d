"""Running an exported network: from an image to its probability map."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError, ModelError, reason_of
from runtime.core.machine import MAX_THREADS, available_cores
from runtime.core.settings import Resize
from runtime.core.workers import batched, map_ahead
from runtime.data.framing import cut_windows, join_windows
from runtime.data.images import ImageSource, Scan, load_scan
from runtime.data.levels import check_intensity
from runtime.data.orientation import Size
from runtime.data.resizing import resize_map, to_input
from runtime.model.checksums import check_unchanged
from runtime.model.metadata import Metadata
from runtime.model.network_input import input_of
from runtime.model.onnx_file import OnnxFile, read_onnx
from runtime.model.providers import AUTO, CPU, ProviderRequest
from runtime.model.sessions import Engine, open_engine

if TYPE_CHECKING:
    from runtime.model.provider_choice import ProviderChoice

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")

_ROUNDING = 1e-5
"""A probability may be outside [0, 1] by as much, and is clipped: a sum of a softmax rounds so."""
MAX_CONCURRENCY = 4
"""Most batches computed at once; each takes the memory of the network's feature maps."""


class Predictor:
    """A segmentation network in an ONNX file, ready to run.

    It can be used from several threads.

    Args:
        path: the ONNX file.
        size: (height, width) of the network's input; by default the size that the file states. A
            third-party file with dynamic sides needs it.
        threads: of the computation; by default the cores that the process may use.
        provider: the execution provider: a name, or a request that also names the arithmetic. By
            default "cpu", ONNX Runtime's own; "auto" takes the fastest that reproduces the file's
            certified numbers (`choose_provider`). With a batch size of 1, another provider than
            "cpu" compiles the network for one image of `size`, and takes no other input.
        batch_size: images per run in `stream` and `predict_batch`.
        concurrency: batches that `stream`, `predict_batch` and `evaluate` compute at once, with
            shared threads. More give a higher throughput (`concurrency_for`), because threads wait
            less for one another. 1 gives the lowest latency of a single image.
        intensity: level of 16-bit gray images that is white; by default what the network was
            trained with, or else what each image states.
        resize: "stretch", "fit" or "tile": how images of other sizes meet the network's input
            (`runtime.data.framing`); by default as in training.
        verify: refuse a file of `export-onnx` whose graph or weights have changed since.

    Attributes:
        file: what the file states.
        size: (height, width) of the network's input.
        fixed_batch: images of every run, where the graph takes no other number; else None.
        framing: how images meet the input.
        threads, batch_size, concurrency, intensity: the settings in use.
        engine: the provider, and what it computes with.
        choice: how "auto" came to its provider; None for another request.

    Raises:
        ModelError: the file cannot be run, or is not a segmentation network.
        ConfigError: the size, threads, batch size or concurrency is out of range.
        ProviderError: the provider is not available, or does not compute the network as requested.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: Size | None = None,
        threads: int | None = None,
        provider: str | ProviderRequest = CPU,
        batch_size: int = 1,
        concurrency: int = 1,
        intensity: int | None = None,
        resize: Resize | None = None,
        verify: bool = True,
    ) -> None:
        if batch_size < 1 or (threads is not None and not 1 <= threads <= MAX_THREADS):
            raise ConfigError(
                f"expected 1 to {MAX_THREADS} threads and a batch of at least one image, found "
                f"{threads} and {batch_size}"
            )
        self.threads = threads or available_cores()
        if not 1 <= concurrency <= self.threads:
            raise ConfigError(
                f"expected a concurrency from 1 to the number of threads, {self.threads}, found "
                f"{concurrency}"
            )
        self.file: OnnxFile = read_onnx(path)
        if verify:
            check_unchanged(self.file)
        self.batch_size = batch_size
        self.concurrency = concurrency
        self._spec, self.size = input_of(self.file, size)
        check_intensity(intensity)
        self.intensity = self._spec.intensity if intensity is None else intensity
        self.framing = self._spec.framing(self.size, resize)
        self.fixed_batch: int | None = next(iter(self.file.inputs[0].shape), None)
        if self.fixed_batch == 1:  # the results do not depend on it
            self.batch_size = 1
        self._input_name = self.file.inputs[0].name
        self._output_name = self.file.outputs[0].name
        self.choice: ProviderChoice | None = None
        self._compiled_for: tuple[int, ...] | None = None
        self.engine: Engine = self._open(provider)

    def _open(self, provider: str | ProviderRequest) -> Engine:
        """Open the session on a provider."""
        request = provider if isinstance(provider, ProviderRequest) else ProviderRequest(provider)
        if request.provider == AUTO:
            from runtime.model.provider_choice import choose_provider  # which runs Predictors

            self.choice = choose_provider(
                self.file, size=self.size, threads=self.threads, request=request
            )
            request = self.choice.request
        shape = None
        if request.provider != CPU and self.batch_size == 1:
            shape, self.fixed_batch = (1, *self.size), 1
            self._compiled_for = (1, 3, *self.size)
        self._session, engine = open_engine(
            self.file.path, request, threads=self.threads, parallel=self.concurrency, shape=shape
        )
        metadata = self.file.metadata
        return replace(engine, int8=metadata is not None and metadata.precision == "int8")

    def __repr__(self) -> str:
        height, width = self.size
        return f"Predictor({str(self.file.path)!r}, {width}x{height}, {self.engine})"

    @property
    def metadata(self) -> Metadata | None:
        """The toolkit's metadata in the file; None for a third-party file."""
        return self.file.metadata

    def load(
        self, image: ImageSource, *, frame: int | None = None, stated_size: Size | None = None
    ) -> Scan:
        """Decode an image as `load_scan` does, at the size that `framing` resizes it to.

        Raises:
            ImageError: the image cannot be read.
        """
        return load_scan(
            image,
            self.framing.scaled,
            frame=frame,
            intensity=self.intensity,
            stated_size=stated_size,
        )

    def __call__(self, image: ImageSource, *, frame: int | None = None) -> NDArray[np.float32]:
        """Return an image's probability map, float32 [H, W] in [0, 1], at the image's own size.

        Args:
            image: a path, an encoded file's bytes, a PIL image or an array, as for `load_scan`.
            frame: of a file with several, from 1.

        Raises:
            ImageError: the image cannot be read.
            ModelError: the network's output is not a probability map.
        """
        return resize_map(*self.predict_scaled(image, frame=frame))

    def predict_scaled(
        self, image: ImageSource, *, frame: int | None = None
    ) -> tuple[NDArray[np.float32], Size]:
        """Return an image's map as `framing` resizes the image, and the image's (height, width).

        Arguments and errors are those of a call, whose map is this one at the image's size.
        """
        scan = self.load(image, frame=frame)
        windows = cut_windows([(scan.pixels, scan.original_size)], self.size)
        batches = map(self._run_loaded, batched(windows, self.batch_size))
        (found,) = join_windows(chain.from_iterable(batches))
        return found

    def predict_batch(self, images: Sequence[ImageSource]) -> list[NDArray[np.float32]]:
        """Return the probability maps of several images, each at its image's own size.

        Raises:
            ImageError, ModelError: as for one image.
        """
        return list(self.stream(images))

    def stream(self, images: Iterable[ImageSource]) -> Iterator[NDArray[np.float32]]:
        """Yield the probability maps of any number of images, in order, lazily.

        Threads decode images and compute batches ahead. `concurrency` and `batch_size` bound how
        many images are in memory.

        Raises:
            ImageError, ModelError: as for one image, when its map would be yielded.
        """

        def load(image: ImageSource) -> tuple[NDArray[np.uint8], Size]:
            scan = self.load(image)
            return scan.pixels, scan.original_size

        for probability, original_size in self.run_ahead(images, load):
            yield resize_map(probability, original_size)

    def run_ahead(
        self,
        items: Iterable[Item],
        load: Callable[[Item], tuple[NDArray[np.uint8], Loaded]],
    ) -> Iterator[tuple[NDArray[np.float32], Loaded]]:
        """Yield each item's probability map, and the value loaded with its image, in order.

        Args:
            items: anything that `load` can read an image for.
            load: returns an item's image, RGB, uint8 [H, W, 3] as `Predictor.load` resizes it, and
                a value to yield beside its map. It is called in threads.

        Returns:
            Maps float32 [H, W] in [0, 1], of the sizes of the loaded images.

        Raises:
            ModelError: the network's output is not a probability map.
            Exception: any error of `load`, when its item's map would be yielded.
        """
        held = self.concurrency + 1
        loaded = map_ahead(load, items, workers=self.threads, ahead=held * self.batch_size)
        batches = batched(cut_windows(loaded, self.size), self.batch_size)
        found = map_ahead(self._run_loaded, batches, workers=self.concurrency, ahead=held)
        yield from join_windows(chain.from_iterable(found))

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on prepared inputs.

        Args:
            inputs: float32 [N, 3, H, W], finite, RGB in [0, 1], of a size that the network accepts.

        Returns:
            Probabilities, float32 [N, H, W] in [0, 1].

        Raises:
            ConfigError: the inputs have the wrong type, shape or size, or are not finite.
            ModelError: the network cannot be run, or its output is not a probability map.
        """
        name = str(self.file.path)
        if not isinstance(inputs, np.ndarray):
            raise ConfigError(f"{name}: expected an array, found {type(inputs).__name__}")
        if inputs.dtype != np.float32 or inputs.ndim != 4 or inputs.shape[1] != 3:
            raise ConfigError(
                f"{name}: expected inputs float32 [N, 3, H, W], found {inputs.dtype} "
                f"{list(inputs.shape)}"
            )
        compiled = self._compiled_for
        if compiled is not None and inputs.shape != compiled:
            raise ConfigError(
                f"{name}: expected inputs of {list(compiled)}, which "
                f"{self.engine.provider} compiled the network for, found {list(inputs.shape)}; "
                "a larger batch_size takes any"
            )
        size = (inputs.shape[2], inputs.shape[3])
        if size != self.size:
            self._spec.check_size(size, name)
        if not np.isfinite(inputs).all():  # of NaN, OpenVINO and INT8 files make probabilities
            raise ConfigError(f"{name}: expected finite inputs, found NaN or infinity")
        return self._compute(inputs)

    def _compute(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        name = self.file.path
        try:
            output = self._session.run([self._output_name], {self._input_name: inputs})[0]
        except Exception as error:  # ONNX Runtime's errors have no common base class
            raise ModelError(f"{name}: ONNX Runtime cannot run it: {reason_of(error)}") from error
        return self._checked(output, len(inputs), inputs.shape[2:])

    def _run_loaded(
        self, batch: Sequence[tuple[NDArray[np.uint8], Loaded]]
    ) -> list[tuple[NDArray[np.float32], Loaded]]:
        inputs = np.empty((len(batch), 3, *self.size), np.float32)
        for (pixels, _), image in zip(batch, inputs, strict=True):
            to_input(pixels, out=image)
        return [(p, other) for p, (_, other) in zip(self._compute(inputs), batch, strict=True)]

    def _checked(self, output: Any, count: int, size: tuple[int, ...]) -> NDArray[np.float32]:
        expected = (count, 1, *size)
        if not isinstance(output, np.ndarray) or output.shape != expected:
            found = list(output.shape) if isinstance(output, np.ndarray) else type(output).__name__
            raise ModelError(
                f"{self.file.path}: expected an output of {list(expected)}, found {found}"
            )
        lowest, highest = float(output.min(initial=0.0)), float(output.max(initial=0.0))
        if not (lowest >= -_ROUNDING and highest <= 1.0 + _ROUNDING):
            raise ModelError(
                f"{self.file.path}: expected probabilities in [0, 1], found values outside "
                "(an output without a sigmoid?)"
            )
        if lowest < 0.0 or highest > 1.0:
            output = output.clip(0.0, 1.0)
        probabilities: NDArray[np.float32] = output[:, 0]
        return probabilities


def concurrency_for(threads: int | None = None) -> int:
    """Return the `concurrency` for many images: one batch per thread, at most 4 to save memory.

    Args:
        threads: of the computation; by default the cores that the process may use.

    Example:
        >>> concurrency_for(2), concurrency_for(16)
        (2, 4)
    """
    return min(threads or available_cores(), MAX_CONCURRENCY)
