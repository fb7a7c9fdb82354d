"""Winograd's minimal filtering in standard ONNX operators (Lavin, Gray 2016)."""

from export.winograd.cost import Form, Shape, choose
from export.winograd.rewriting import Layer, Rewritten, rewrite

__all__ = ["Form", "Layer", "Rewritten", "Shape", "choose", "rewrite"]
