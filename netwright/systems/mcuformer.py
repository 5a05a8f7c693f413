"""Vision transformers on a microcontroller: the runtime and the memory formula; the search is not among the claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import device
from netwright.compile import int8, pads
from netwright.compress import integer_inputs, quantise
from netwright.devices.c import arranged, planned, reordered
from netwright.errors import UserError
from netwright.graph import Graph, Type
from netwright.spaces.zoo import vit

from . import Claim, Measured, System

SRAM = 320 * 1024
LIMITS = {"ram": "64KB", "flash": "256KB"}  # our bar
CLASSES, SHAPE = 10, (1, 1, 28, 28)
STRUCTURE = {"patches": 7, "width": 48, "rank": 1.0, "blocks": [{"heads": 4, "ratio": 2}] * 2}
CALIBRATION = 512


def images(data: Path | None, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits x float32 [n, 1, 28, 28], y int64 [n] of `train` or `test`."""
    path = data.joinpath("mnist", "mnist.npz") if data is not None else None
    if path is None or not path.is_file():
        raise UserError("mcuformer needs mnist/mnist.npz of the recorded data: give --data DIR or NETWRIGHT_DATA")
    with np.load(path, allow_pickle=False) as file:
        return (file[f"x_{part}"].astype(np.float32) / 255)[:, None], file[f"y_{part}"].astype(np.int64)


def formula_bytes(tokens: int, width: int, ratio: float, rank: float) -> int:
    """Peak memory of an int8 vision transformer as the published search counts it: tokens with their hidden features,
    and one factor of a linear map."""
    return int(width * (tokens * (1 + ratio) + width * ratio * rank))


def network(seed: int) -> Graph:
    """A small one without training: the memory does not depend on it."""
    graph = vit.build(STRUCTURE, Type(SHAPE), Type((1, CLASSES))).graph
    return graph.with_store(graph.store.initialise(graph, seed))


def refused(data: Path | None, seed: int) -> Measured:
    """Planned arena of a network that the published formula puts over 320 kB."""
    counted = formula_bytes(15 * 15 + 1, 192, 4, 0.9)
    structure = {"patches": 15, "width": 192, "rank": 0.9, "blocks": [{"heads": 3, "ratio": 4}] * 12}
    graph = arranged(int8.lower(vit.build(structure, Type((1, 3, 240, 240)), Type((1, 1000))).graph))
    used = planned(graph).bytes
    note = (
        f"its formula: {counted:,} B; ours: the arena as planned, image of 172,800 B included, 225 tokens (no class "
        "token), dense where two factors save nothing; nothing is run"
    )
    return Measured(used, used <= SRAM < counted, note)


def overwriting(data: Path | None, seed: int) -> Measured:
    """Arena of the best plan op by op over the arena as compiled, the bytes of both held against each other."""
    x, _ = images(data, "train")
    graph = network(seed)
    integer = quantise(graph, x[:CALIBRATION])
    (codes,) = integer_inputs(graph, integer, x[:4])
    program = device("cortex-m7", **LIMITS).compile(integer)
    equal = np.array_equal(program.run(codes)[0].ravel(), integer.run(codes)[0].ravel())
    plain, ready = reordered(pads.fold(integer)), arranged(integer)
    before, after = planned(plain).bytes, planned(ready).bytes
    largest = max(v.type.bytes for n in ready.nodes for v in n.outputs)
    ratio = before / after
    note = (
        f"{before:,} to {after:,} B for 49 tokens; largest tensor {largest:,} B; "
        f"{'byte-equal' if equal else 'NOT byte-equal'} to op by op on the emulated core"
    )
    return Measured(ratio, ratio >= 2 and equal, note)


def accuracy(data: Path | None, seed: int) -> Measured:
    """A small one trained on handwritten digits, as int8 C on this machine; its first images on the emulated core."""
    from netwright.train import Recipe, train
    from netwright.train.recipe import Augment

    x, y = images(data, "train")
    recipe = Recipe(6, 128, rate=4e-3, decay=0.05, warmup=0.1, ema=0.99, augment=Augment(shift=1.0))
    graph = train(network(seed), x, y, recipe, seed=seed).graph
    integer = quantise(graph, x[:CALIBRATION])
    x, y = images(data, "test")
    (codes,) = integer_inputs(graph, integer, x)
    logits = device("host").compile(integer).run(codes)[0].reshape(len(y), -1)
    program = device("cortex-m7", **LIMITS).compile(integer)
    equal = np.array_equal(program.run(codes[:20])[0].ravel(), logits[:20].ravel())
    profile = program.profile(codes[:1])
    share = float((logits.argmax(1) == y).mean())
    note = (
        f"handwritten digits, not photographs; {profile.ram_total:,} B of RAM and {profile.flash_total:,} B of Flash; "
        f"{'byte-equal' if equal else 'NOT byte-equal'} on the emulated core"
    )
    return Measured(100 * share, share >= 0.98 and equal, note)


system = System(
    name="mcuformer",
    paper="Liang et al. 2023 (MCUFormer: Deploying Vision Transformers on Microcontrollers with Limited Memory)",
    about="vision transformers in int8, attention a row of scores at a time and MLPs a token at a time",
    claims=(
        Claim(
            "token overwriting keeps scores and hidden features out of memory",
            "at least 2 times less memory (our bar)",
            "a network of 49 tokens, against the best plan of the same ops one by one",
            "times",
            overwriting,
        ),
        Claim(
            "its search refuses a network of patch size 16, width 192, ratio 4, rank 0.9 at 240 px",
            "349,670 B by the formula of its code",
            "320 kB of SRAM; hidden features of all tokens are counted",
            "B of arena",
            refused,
        ),
        Claim(
            "a vision transformer classifies on a microcontroller",
            "73.62 % top-1",
            "ImageNet, STM32F746 with 320 kB of SRAM; ours: handwritten digits in 64 KB, at least 98 %",
            "% of the test set",
            accuracy,
        ),
    ),
)
