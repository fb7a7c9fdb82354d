"""The encoders of torchvision's that the tests compare with the original networks."""

PRETRAINED = {"resnet34": "resnet34", "resnet50": "resnet50", "swin": "swin_t"}
"""The UNets with an encoder of torchvision's, and its name there."""
