"""Settings of the phantom set and of the search for similar images; they load no numpy."""

from dataclasses import dataclass

from runtime.core.settings import check_settings, setting


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """The size of a phantom data set.

    Attributes:
        train, valid, test: number of people in each split.
        slices: images per person.
        size: height and width of an image, in pixels.
        seed: the same seed gives the same pixels.

    Raises:
        ConfigError: a number is out of its range.
    """

    train: int = setting(60, help="People to train on.", minimum=1)
    valid: int = setting(15, help="People to validate on.", minimum=1)
    test: int = setting(15, help="People to test on.", minimum=1)
    slices: int = setting(4, help="Images per person.", minimum=1)
    size: int = setting(256, help="Height and width of an image.", minimum=32, maximum=2048)
    seed: int = setting(0, help="Same seed, same pixels.", minimum=0)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True)
class LinkRule:
    """The rule by which two images are linked, beside equal sources and patients.

    Attributes:
        correlation: smallest correlation of the 32x32 gray versions that links any two images, one
            of them in any of the eight orientations of a square.
        slices: largest distance between the slice numbers of two near slices.
        slice_correlation: smallest correlation that links two near slices, both as stored. Between
            two heads, or two viewing directions, consecutive numbers correlate less than this.

    Raises:
        ConfigError: a correlation is not in (0, 1], or `slices` is negative.

    Example:
        >>> LinkRule(correlation=1.5)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: correlation: expected more than 0 and at most 1, found 1.5
    """

    correlation: float = setting(
        0.97,
        help="Smallest correlation of 32x32 gray versions that links any two images, in any of the "
        "eight orientations.",
        above=0,
        maximum=1,
    )
    slices: int = setting(2, help="Largest distance between the numbers of near slices.", minimum=0)
    slice_correlation: float = setting(
        0.8, help="Smallest correlation that links two near slices.", above=0, maximum=1
    )

    def __post_init__(self) -> None:
        check_settings(self)
