"""Matrix products."""

from __future__ import annotations

from ...ops.binary import Add, Mul
from ...ops.index import Gather
from ...ops.linear import Einsum, Linear, Matmul
from ...ops.reduce import ReduceSum
from ...ops.shape import Reshape, Transpose
from ...types import FLOATS
from .entry import Entry, Known
from .importer import Call, imports


@imports("MatMul")
def matmul(n: Call) -> Entry:
    """A product with a known matrix is our linear layer, whose weights are turned."""
    return product(n, n.x(0), n.x(1))


def product(n: Call, x: Entry, y: Entry) -> Entry:
    """NumPy's matmul, vectors included."""
    if isinstance(y, Known) and not isinstance(x, Known) and len(y.shape) == 2 and x.shape and x.dtype in FLOATS:
        return n(Linear(), x, n(Transpose((1, 0)), y))
    left, right = len(x.shape) == 1, len(y.shape) == 1
    if left:
        x = n(Reshape((1, -1)), x)
    if right:
        y = n(Reshape((-1, 1)), y)
    z = n(Matmul(), x, y)
    if left or right:
        kept = z.shape[:-2] + (() if left else z.shape[-2:-1]) + (() if right else z.shape[-1:])
        z = n(Reshape(kept), z)
    return z


@imports("Gemm")
def gemm(n: Call) -> Entry:
    """alpha * A' B' + beta * C as a linear layer where it is one."""
    x, w, bias = n.x(0), n.x(1), n.get(2)
    alpha, beta = n.real("alpha", 1.0), n.real("beta", 1.0)
    if n.integer("transA", 0):
        x = n(Transpose((1, 0)), x)
    if len(x.shape) != 2 or len(w.shape) != 2:
        raise n.refuse(f"it multiplies {list(x.shape)} by {list(w.shape)}: matrices are needed")
    if x.dtype not in FLOATS:
        y = n(Matmul(), x, n(Transpose((1, 0)), w) if n.integer("transB", 0) else w)
        y = y if alpha == 1 else n(Mul(), y, n.scalar(int(alpha), y))
    else:
        w = w if n.integer("transB", 0) else n(Transpose((1, 0)), w)
        w = w if alpha == 1 else n(Mul(), w, n.scalar(alpha, w))
        if bias is not None and beta == 1 and bias.shape in ((w.shape[0],), (1, w.shape[0])):
            return n(Linear(), x, w, bias if len(bias.shape) == 1 else n(Reshape((-1,)), bias))
        y = n(Linear(), x, w)
    if bias is None or beta == 0:
        return y
    return n(Add(), y, bias if beta == 1 else n(Mul(), bias, n.scalar(beta, bias)))


@imports("Einsum")
def einsum(n: Call) -> Entry:
    """Operands two at a time; diagonals, ellipses and sums of one operand are taken apart."""
    terms, result = _terms(n)
    entries = n.operands()
    if len(terms) != len(entries):
        raise n.refuse(f"the equation names {len(terms)} operands, there are {len(entries)}")
    pairs = [_undiagonal(n, e, t) for e, t in zip(entries, terms)]
    x, term = pairs[0]
    for k, (y, other) in enumerate(pairs[1:], start=2):
        later = set(result).union(*(t for _, t in pairs[k:]))
        kept = "".join(dict.fromkeys(c for c in term + other if c in later))
        x, term = n(Einsum(f"{term},{other}->{kept}"), x, y), kept
    dropped = tuple(i for i, c in enumerate(term) if c not in result)
    if dropped:
        x, term = n(ReduceSum(dropped, False), x), "".join(c for c in term if c in result)
    if sorted(term) != sorted(result):
        raise n.refuse("the result names a letter that no operand has")
    order = tuple(term.index(c) for c in result)
    return x if order == tuple(range(len(order))) else n(Transpose(order), x)


def _terms(n: Call) -> tuple[list[str], str]:
    """The terms with letters for ellipses, and the result, spelt out where it is implied."""
    left, arrow, result = n.text("equation", "").replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(n):
        raise n.refuse(f"the equation names {len(terms)} operands, there are {len(n)}")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in left]
    if not arrow:
        named = left.replace(",", "").replace(".", "")
        result = ("..." if "..." in left else "") + "".join(sorted(c for c in set(named) if named.count(c) == 1))
    full, widest = [], 0
    for term, entry in zip(terms, n.operands()):
        extra = len(entry.shape) - len(term.replace("...", "")) if "..." in term else 0
        if extra < 0 or extra > len(free):
            raise n.refuse(f"the term {term!r} does not fit an operand of {len(entry.shape)} dimensions")
        widest = max(widest, extra)
        full.append((term, extra))
    letters = "".join(free[:widest])
    return [t.replace("...", letters[widest - e :]) for t, e in full], result.replace("...", letters)


def _undiagonal(n: Call, x: Entry, term: str) -> tuple[Entry, str]:
    """The operand with each letter once: repeated ones by picking the diagonal."""
    if len(term) != len(x.shape):
        raise n.refuse(f"the term {term!r} does not fit an operand of {len(x.shape)} dimensions")
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            i, j = [k for k, c in enumerate(term) if c == letter][:2]
            size = x.shape[i]
            if x.shape[j] != size:
                raise n.refuse(f"the letter {letter!r} stands for {size} and {x.shape[j]}")
            rest = [k for k in range(len(term)) if k not in (i, j)]
            x = n(Transpose((i, j, *rest)), x)
            kept = x.shape[2:]
            x = n(Gather(0), n(Reshape((size * size, *kept)), x), n.known(n.arange(size) * (size + 1)))
            term = letter + "".join(term[k] for k in rest)
    return x, term
