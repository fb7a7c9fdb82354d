"""The settings of a run that are one of a few names.

They stand apart from the config, so that the command can offer them before numpy is loaded.
"""

from typing import Literal

ARCHITECTURES = ("scratch", "resnet34", "resnet50", "swin")

Device = Literal["auto", "cpu", "cuda"]
Loss = Literal["bce", "dice", "bce+dice"]
Precision = Literal["auto", "float32", "bf16"]
