"""Graph -> Graph with the help of data.

ranges = observe(graph, samples)                 # value name -> (low, high)
int8 = quantise(graph, samples)                  # post-training, per-channel weights, TFLite's arithmetic
codes = integer_inputs(graph, int8, samples)     # what the int8 network takes, in its layout
report = layer_errors(graph, int8, samples)      # where quantisation loses most
smaller = factorise(graph, 0.5)                  # linear layers as two factors of half the rank
"""

from __future__ import annotations

from .factorise import factorise
from .quantise import integer_inputs, layer_errors, observe, quantise

__all__ = ["factorise", "integer_inputs", "layer_errors", "observe", "quantise"]
