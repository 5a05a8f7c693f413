"""Integer arithmetic as TensorFlow Lite's reference kernels do it (Jacob et al. 2018; TFLite 8-bit specification).

Activations are int8, NHWC, per-tensor affine (`Quant`, in the type and repeated as attributes `x`, `y`, `out`).
Weights are int8, symmetric, [O, Kh, Kw, C/groups], with one float32 scale an output channel; biases are int32 of scale
x.scale * w_scale. `low` and `high` clamp the result: a fused activation.
"""
