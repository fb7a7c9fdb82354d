"""Winograd's minimal filtering in standard ONNX operators (Lavin, Gray 2016)."""

from export.winograd.cost import ConvAlgorithm, ConvShape, choose_algorithm
from export.winograd.rewriting import RewrittenConvolution, RewrittenGraph, rewrite

__all__ = [
    "ConvAlgorithm",
    "ConvShape",
    "RewrittenConvolution",
    "RewrittenGraph",
    "choose_algorithm",
    "rewrite",
]
