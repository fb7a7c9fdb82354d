"""All that is known of one scored image: every average of a split follows from these rows."""

from dataclasses import dataclass

from runtime.metrics import PixelSums
from runtime.scoring.lesions import LesionCounts
from runtime.scoring.surface import SurfaceScores


@dataclass(frozen=True, slots=True)
class SampleSums:
    """The sums of one image, from which its metrics follow (`runtime.image_scores`).

    Attributes:
        file: the image's name in the COCO file.
        soft: sums of the probabilities.
        thresholded: sums of the predicted mask, p >= 0.5.
        patient: as the COCO file states it; None where it states none.
        surface, lesions: of the predicted mask; None where they were not asked for. Those of a
            volume stand in the last slice that was scored: in the others, `surface` is of NaN and
            `lesions` is None.
        volume: of which the image is a slice; None for a picture.
    """

    file: str
    soft: PixelSums
    thresholded: PixelSums
    patient: str | None = None
    surface: SurfaceScores | None = None
    lesions: LesionCounts | None = None
    volume: str | None = None

    @property
    def missed(self) -> bool:
        """True if there is foreground, and no pixel is predicted."""
        return self.thresholded.target > 0.0 and self.thresholded.predicted == 0.0
