"""The time that each algorithm would take."""

from export.winograd import ConvAlgorithm, ConvShape, choose_algorithm


def test_many_channels_are_worth_winograd_and_few_are_not() -> None:
    assert choose_algorithm(ConvShape(64, 64, (256, 256))).tile >= 4
    assert choose_algorithm(ConvShape(512, 512, (32, 32))) is ConvAlgorithm.F4
    assert (
        choose_algorithm(ConvShape(1024, 1024, (16, 16))) is ConvAlgorithm.F2
    )  # less than half of the weights
    assert choose_algorithm(ConvShape(3, 64, (256, 256))) is ConvAlgorithm.DIRECT
    assert choose_algorithm(ConvShape(4, 4, (256, 256))) is ConvAlgorithm.DIRECT
