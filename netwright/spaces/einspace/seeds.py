"""Known networks as derivations of einspace (Ericsson et al. 2024, section 4.1): what a search may start from.

    space = spaces.get("einspace", shape=(3, 32, 32))
    candidate = space.validate(decisions(resnet18()))

The networks are those of the papers as far as the grammar has words for them: convolutions have biases, every
non-linearity is a leaky ReLU, pooling is left out, and the head is the mean and a linear map.
"""

from __future__ import annotations

from collections.abc import Sequence

from netwright.spaces.einspace.rules import WIDTHS
from netwright.spaces.grammar import Derivation


def decisions(network: Derivation, address: str = "network") -> dict[str, str]:
    """The decisions that derive a network, for `Space.validate`."""
    trace = {} if network.symbol == "second" else {address: network.production}
    for place, part in enumerate(network.parts):
        trace.update(decisions(part, f"{address}/{network.production}.{place}"))
    return trace


def started(module: Derivation) -> Derivation:
    """A module as the whole network; ValueError for a single computation, which none is."""
    if module.production == "computation":
        raise ValueError("a network of einspace is more than one computation")
    return Derivation("N", *module[1:])


# modules


def compute(name: str) -> Derivation:
    """One operation: "linear-64", "norm", "leaky-relu", ..."""
    return Derivation("M", "computation", (Derivation("C", name, ()),))


def sequence(*modules: Derivation) -> Derivation:
    """One module after the other, nested as flat as can be."""
    if len(modules) == 1:
        return modules[0]
    half = (len(modules) + 1) // 2
    return Derivation("M", "sequential", (sequence(*modules[:half]), sequence(*modules[half:])))


def routed(before: str, module: Derivation, after: str = "identity") -> Derivation:
    """A module in another layout."""
    return Derivation("M", "routing", (Derivation("P", before, ()), module, Derivation("Q", after, ())))


def branched(kind: str, modules: Sequence[Derivation], join: str) -> Derivation:
    """Two modules, or one that is copied: branched("clone-4", [head], "concat-2")."""
    parts = int(kind[-1])
    end = Derivation(f"A{parts}", join, ())
    inner = (modules[0], Derivation("second", "second", ()), modules[1]) if parts == 2 else (modules[0],)
    return Derivation("M", "branching", (Derivation("B", kind, (*inner, end)),))


def convolution(width: int, kernel: str) -> Derivation:
    """A convolution, kernel as in "3-1-1": size, stride, padding."""
    return routed(f"im2col-{kernel}", compute(f"linear-{width}"), "col2im")


def residual(module: Derivation, shortcut: Derivation | None = None) -> Derivation:
    """The module's output added to its input."""
    return branched("clone-2", (module, shortcut or compute("identity")), "add")


def norm() -> Derivation:
    """Batch norm of an image, layer norm of tokens."""
    return compute("norm")


def act() -> Derivation:
    """The leaky ReLU."""
    return compute("leaky-relu")


# networks


def resnet(widths: Sequence[int] = (64, 128, 256, 512), blocks: int = 2) -> Derivation:
    """ResNet with basic blocks (He et al. 2016, table 1), the stem of its CIFAR networks and no max-pool."""
    modules = [convolution(widths[0], "3-1-1"), norm(), act()]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            halve = stage > 0 and block == 0
            body = sequence(convolution(width, "3-2-1" if halve else "3-1-1"), norm(), act(),
                            convolution(width, "3-1-1"), norm())
            shortcut = sequence(convolution(width, "1-2-0"), norm()) if halve else None
            modules += [residual(body, shortcut), act()]
    return started(sequence(*modules))


def resnet18() -> Derivation:
    """ResNet-18 without max-pool."""
    return resnet()


def wide_resnet(widths: Sequence[int] = (64, 128, 256), blocks: int = 2, stem: int = 16) -> Derivation:
    """WRN-16-4 by default: pre-activated wide blocks (Zagoruyko and Komodakis 2016, table 1)."""
    modules = [convolution(stem, "3-1-1")]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            kernel = "3-2-1" if stage > 0 and block == 0 else "3-1-1"
            body = sequence(convolution(width, kernel), norm(), act(), convolution(width, "3-1-1"))
            if block == 0 and (stage > 0 or stem != width):
                shortcut = convolution(width, "1-2-0" if stage > 0 else "1-1-0")
                modules += [norm(), act(), residual(body, shortcut)]
            else:
                modules += [residual(sequence(norm(), act(), body))]
    return started(sequence(*modules, norm(), act()))


def attention(width: int, heads: int) -> Derivation:
    """Self-attention of 4 or 8 `heads`, which are copies (Vaswani et al. 2017, section 3.2)."""
    part = compute(f"linear-{width // heads}")
    scores = branched("clone-2", (part, routed("identity", part, "permute-21")), "scaled-dot")
    head = branched("clone-2", (sequence(scores, compute("softmax")), part), "dot")
    return sequence(branched(f"clone-{heads}", [head], "concat-2"), compute(f"linear-{width}"))


def vit(width: int = 256, layers: int = 4, heads: int = 4, hidden: int = 512, patches: Sequence[str] = ("4-4-0",),
        ) -> Derivation:
    """A transformer of pre-normed blocks over patches (Dosovitskiy et al. 2021, section 3.1), without a class token.

    patches   convolutions that make tokens of the image; the last one's pixels are the tokens
    """
    modules = [_embedded(width, patches), compute("position")]
    for _ in range(layers):
        modules.append(residual(sequence(norm(), attention(width, heads))))
        modules.append(residual(sequence(norm(), compute(f"linear-{hidden}"), act(), compute(f"linear-{width}"))))
    return started(sequence(*modules, norm()))


def mixer(tokens: int = 64, width: int = 256, layers: int = 4, hidden: tuple[int, int] = (64, 512),
          patches: Sequence[str] = ("4-4-0",)) -> Derivation:
    """MLP-Mixer (Tolstikhin et al. 2021, section 2): maps over tokens, then over channels, in turns.

    tokens   how many the patches make; one of the widths of the linear maps, as these have to give them back
    hidden   widths inside the map over tokens and the map over channels
    """
    if tokens not in WIDTHS:
        raise ValueError(f"a mixer of {tokens} tokens has no linear map back to them; they are one of {WIDTHS}")
    modules = [_embedded(width, patches)]
    for _ in range(layers):
        over = sequence(compute(f"linear-{hidden[0]}"), act(), compute(f"linear-{tokens}"))
        modules.append(residual(sequence(norm(), routed("permute-21", over, "permute-21"))))
        modules.append(residual(sequence(norm(), compute(f"linear-{hidden[1]}"), act(), compute(f"linear-{width}"))))
    return started(sequence(*modules, norm()))


def _embedded(width: int, patches: Sequence[str]) -> Derivation:
    *stem, last = patches
    before = [module for kernel in stem for module in (convolution(width, kernel), act())]
    return sequence(*before, routed(f"im2col-{last}", compute(f"linear-{width}")))
