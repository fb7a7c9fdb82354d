"""Labels from the frames of a segmentation: where a pixel belongs, and which segment counts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.core.errors import ImageError
from runtime.data.volumes.dicom_labels import DicomSegmentation, _frames

PATH = Path("labels.dcm")


def image(**changes: Any) -> Any:
    facts = {"size": (1, 4), "instance": "1.2", "frame": 0, "path": Path("scan.dcm")}
    return SimpleNamespace(**facts | changes)


def labels(
    monkeypatch: pytest.MonkeyPatch, frames: list[list[int]], segments: list[int], highest: int
) -> list[list[int]]:
    """Return the labels of an image of 1x4 pixels by its frames, each of a segment."""
    monkeypatch.setattr(DicomSegmentation, "_stored", lambda _, frame: np.array([frames[frame]]))
    places = {("1.2", 0): list(enumerate(segments)), ("1.2", 1): [(0, segments[0])]}
    made = DicomSegmentation(PATH, {1: "edema", 2: "tumor"}, places, (1, 4), highest)
    found: list[list[int]] = made.labels(image(), {"edema": 7, "tumor": 9}).tolist()
    return found


@pytest.mark.parametrize("segments", [[1, 2], [2, 1]])
def test_the_highest_segment_counts_where_two_overlap(
    monkeypatch: pytest.MonkeyPatch, segments: list[int]
) -> None:
    by_segment = {1: [1, 1, 0, 0], 2: [0, 1, 1, 0]}
    frames = [by_segment[segment] for segment in segments]
    assert labels(monkeypatch, frames, segments, highest=1) == [[7, 9, 9, 0]]


def test_a_share_belongs_to_a_segment_from_one_half_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert labels(monkeypatch, [[0, 99, 100, 200]], [1], highest=200) == [[0, 0, 7, 7]]


def test_an_image_of_no_frame_is_background_and_one_of_another_size_refused() -> None:
    made = DicomSegmentation(PATH, {1: "edema"}, {("1.2", 0): [(0, 1)]}, (1, 4), 1)
    assert not made.labels(image(instance="1.3"), {"edema": 7}).any()
    with pytest.raises(ImageError, match=r"^labels\.dcm: 4x1 pixels, but .* scan\.dcm has 4x2$"):
        made.labels(image(size=(2, 4)), {"edema": 7})


def test_a_segments_frame_is_of_each_frame_of_an_image_that_it_states() -> None:
    pydicom = pytest.importorskip("pydicom")

    def item(**values: Any) -> Any:
        made = pydicom.Dataset()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    def frame(segment: int, uid: str, **stated: Any) -> Any:
        source = item(ReferencedSOPInstanceUID=uid, **stated)
        return item(
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
            DerivationImageSequence=[item(SourceImageSequence=[source])],
        )

    header = item(
        PerFrameFunctionalGroupsSequence=[
            frame(2, "1.2", ReferencedFrameNumber=[1, 3]),
            frame(1, "1.2", ReferencedFrameNumber=3),
            frame(1, "1.3"),
        ]
    )
    assert _frames(header) == {
        ("1.2", 0): [(0, 2)], ("1.2", 2): [(0, 2), (1, 1)], ("1.3", 0): [(2, 1)],
    }  # fmt: skip
