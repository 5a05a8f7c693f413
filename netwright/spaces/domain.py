"""What one decision may be: the only thing about a space that a strategy has to understand.

A domain draws from a stream of uniform numbers in [0, 1) (`Draw`), not from a generator, so that one call to NumPy
serves a whole candidate. Every domain draws in three ways: `draw` (uniform over this decision's values; log ranges
uniform in the logarithm), `draw_prior` (by the given prior, else as `draw`) and `draw_candidate` (each value by the
number of candidates behind it).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import numpy as np

from netwright.errors import Refused

Draw = Callable[[], float]
Weigh = Callable[[], Sequence[int]]
Size = int | float  # an exact count, or math.inf
_TINY = 1e-12


def freeze(value: Any) -> Any:
    """A JSON value made hashable (lists become tuples); TypeError for what JSON has no word for."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    raise TypeError(f"a decision's value must be JSON (text, number, true, false, null, list), not {value!r}")


def stream(rng: np.random.Generator, block: int = 64) -> Draw:
    """Uniform numbers in [0, 1) drawn in blocks: scalar calls into NumPy cost ten times more."""

    def numbers() -> Iterator[float]:
        while True:
            yield from rng.random(block).tolist()

    return numbers().__next__


def cumulative(weights: Sequence[float]) -> list[float]:
    """Cumulative shares in [0, 1]; exact for integers of any length until the final division."""
    total = sum(weights)
    if not total > 0:
        raise Refused("no candidate lies behind any value of this decision; loosen the grammar's budget or state rules")
    return [part / total for part in accumulate(weights)]


class Domain:
    """Base of all domains. `size` is the number of values, `width` the number of columns `encode` fills."""

    kind: str = ""
    size: Size = 0
    ordinal: bool = False
    width: int = 1
    __slots__ = ()

    def draw(self, draw: Draw) -> Any:
        """A value, uniformly."""
        raise NotImplementedError

    def draw_prior(self, draw: Draw) -> Any:
        """A value by the prior."""
        return self.draw(draw)

    def draw_candidate(self, draw: Draw) -> Any:
        """A value by the number of candidates behind it."""
        return self.draw(draw)

    def sample(self, rng: np.random.Generator, by: str = "decision") -> Any:
        """A value; `by` is "decision", "prior" or "candidate"."""
        return {"decision": self.draw, "prior": self.draw_prior, "candidate": self.draw_candidate}[by](stream(rng, 8))

    def canonical(self, value: Any) -> Any:
        """The domain's own spelling of `value` (1.0 for 1, a tuple for a list); ValueError if it is none of them."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Whether this decision may be `value`."""
        try:
            self.canonical(value)
        except ValueError:
            return False
        return True

    def other(self, value: Any, draw: Draw) -> Any:
        """A value that is not `value` (a mutation); `value` itself only where there is no other."""
        near = self.neighbours(value)
        return near[int(draw() * len(near))] if near else value

    def neighbours(self, value: Any) -> list[Any]:
        """The values one step away."""
        raise NotImplementedError

    def encode(self, value: Any) -> tuple[float, ...]:
        """`width` numbers in [0, 1], different for different values."""
        raise NotImplementedError

    def inactive(self) -> tuple[float, ...]:
        """What stands in the columns when the decision is not made: no value encodes so."""
        return (-1.0,) * self.width

    def distance(self, a: Any, b: Any) -> float:
        """In [0, 1]; 0 only for equal values."""
        return float(a != b)

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def _refuse(self, value: Any) -> ValueError:
        return ValueError(f"{value!r} is not one of {self}")


class Categorical(Domain):
    """One of `values`. Ordinal when all are numbers in rising order, and then encoded as one column, else one-hot.

    `weigh()` gives the number of candidates behind each value; `narrowed` marks a domain that a grammar cut down.
    """

    kind = "categorical"
    __slots__ = ("_counts", "_index", "_prior", "narrowed", "ordinal", "prior", "size", "values", "weigh", "width")

    def __init__(self, values: Sequence[Any], prior: Sequence[float] | None = None, weigh: Weigh | None = None,
                 narrowed: bool = False) -> None:
        self.values = tuple(freeze(value) for value in values)
        self._index = {value: place for place, value in enumerate(self.values)}
        if not self.values:
            raise ValueError("a choice needs at least one value")
        if len(self._index) < len(self.values):
            raise ValueError(f"a choice's values must differ (True equals 1, 1.0 equals 1): {self.values!r}")
        if prior is not None and (len(prior) != len(values) or min(prior) < 0 or not sum(prior) > 0):
            raise ValueError(f"prior {prior!r} must give each of {len(values)} values a weight >= 0, not all 0")
        self.size: int = len(self.values)
        self.prior = None if prior is None else tuple(weight / sum(prior) for weight in prior)
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)
        self.ordinal = numbers and list(self.values) == sorted(self.values)
        self.width = 1 if self.ordinal else self.size
        self.weigh = weigh
        self.narrowed = narrowed
        self._prior = None if prior is None else cumulative(self.prior or ())
        self._counts: list[float] | None = None

    def weighed(self, weigh: Weigh) -> Categorical:
        """The same values with other numbers of candidates behind them."""
        twin = object.__new__(Categorical)  # spelled out: a grammar makes one of these for every decision
        twin.values, twin.size, twin.prior, twin.ordinal = self.values, self.size, self.prior, self.ordinal
        twin.width, twin.narrowed, twin._index, twin._prior = self.width, self.narrowed, self._index, self._prior
        twin.weigh, twin._counts = weigh, None
        return twin

    def draw(self, draw: Draw) -> Any:
        return self.values[int(draw() * self.size)]

    def draw_prior(self, draw: Draw) -> Any:
        if self._prior is None:
            return self.values[int(draw() * self.size)]
        return self._by(self._prior, draw)

    def draw_candidate(self, draw: Draw) -> Any:
        if self.weigh is None:
            return self.values[int(draw() * self.size)]
        if self._counts is None:
            self._counts = cumulative(self.weigh())
        return self._by(self._counts, draw)

    def _by(self, shares: list[float], draw: Draw) -> Any:
        return self.values[min(bisect_right(shares, draw()), self.size - 1)]

    def canonical(self, value: Any) -> Any:
        try:
            return self.values[self._index[value]]
        except KeyError:
            raise self._refuse(value) from None
        except TypeError:
            place = self._index.get(freeze(value))
            if place is None:
                raise self._refuse(value) from None
            return self.values[place]

    def other(self, value: Any, draw: Draw) -> Any:
        place = self._index.get(value)
        if place is None:
            return self.draw(draw)
        if self.size == 1:
            return value
        picked = int(draw() * (self.size - 1))
        return self.values[picked + (picked >= place)]

    def neighbours(self, value: Any) -> list[Any]:
        place = self._index[value]
        if not self.ordinal:
            return [other for other in self.values if other != value]
        return [self.values[at] for at in (place - 1, place + 1) if 0 <= at < self.size]

    def encode(self, value: Any) -> tuple[float, ...]:
        place = self._index[value]
        if self.ordinal:
            return (place / max(self.size - 1, 1),)
        return tuple(float(at == place) for at in range(self.size))

    def inactive(self) -> tuple[float, ...]:
        return (-1.0,) if self.ordinal else (0.0,) * self.width

    def distance(self, a: Any, b: Any) -> float:
        if not self.ordinal or self.size < 2:
            return float(a != b)
        return abs(self._index[a] - self._index[b]) / (self.size - 1)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __str__(self) -> str:
        return f"{list(self.values)!r}"


class Integer(Domain):
    """low, low + step, ..., at most high."""

    kind = "int"
    ordinal = True
    __slots__ = ("_prior", "high", "log", "low", "size", "step")

    def __init__(self, low: int, high: int, step: int = 1, log: bool = False,
                 prior: Sequence[float] | None = None) -> None:
        if high < low or step < 1 or (log and low < 1):
            raise ValueError(f"Int({low}, {high}, step={step}, log={log}) needs low <= high, step >= 1, log low >= 1")
        self.low, self.high, self.step, self.log = low, low + (high - low) // step * step, step, log
        self.size: int = (high - low) // step + 1
        if prior is not None and (len(prior) != self.size or min(prior) < 0 or not sum(prior) > 0):
            raise ValueError(f"prior {prior!r} must give each of {self.size} values a weight >= 0, not all 0")
        self._prior = None if prior is None else cumulative(prior)

    def draw_prior(self, draw: Draw) -> int:
        if self._prior is None:
            return self.draw(draw)
        return self.low + self.step * min(bisect_right(self._prior, draw()), self.size - 1)

    def draw(self, draw: Draw) -> int:
        if not self.log:
            return self.draw_candidate(draw)
        low, high = math.log(self.low - self.step / 2), math.log(self.high + self.step / 2)
        place = round((math.exp(low + draw() * (high - low)) - self.low) / self.step)
        return self.low + self.step * min(max(place, 0), self.size - 1)

    def draw_candidate(self, draw: Draw) -> int:
        return self.low + self.step * int(draw() * self.size)

    def canonical(self, value: Any) -> int:
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
        if not whole or not self.low <= value <= self.high or (int(value) - self.low) % self.step:
            raise self._refuse(value)
        return int(value)

    def other(self, value: int, draw: Draw) -> int:
        if self.size == 1:
            return value
        for _ in range(8):
            drawn = self.draw(draw)
            if drawn != value:
                return drawn
        return self.neighbours(value)[0]

    def neighbours(self, value: int) -> list[int]:
        return [near for near in (value - self.step, value + self.step) if self.low <= near <= self.high]

    def encode(self, value: int) -> tuple[float, ...]:
        if self.size == 1:
            return (0.0,)
        if self.log:
            return ((math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low)),)
        return ((value - self.low) / (self.high - self.low),)

    def distance(self, a: int, b: int) -> float:
        return abs(self.encode(a)[0] - self.encode(b)[0])

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.low, self.high + 1, self.step))

    def __str__(self) -> str:
        return f"the integers {self.low}..{self.high}" + (f" in steps of {self.step}" if self.step > 1 else "")


class Real(Domain):
    """A number in [low, high]; with log, uniform in its logarithm. Its size is infinite.

    The prior is a normal distribution cut at both ends, given by its mean and standard deviation (with log: of the
    logarithm, but the mean as the number itself).
    """

    kind = "float"
    ordinal = True
    size = math.inf
    __slots__ = ("_prior", "high", "log", "low")

    def __init__(self, low: float, high: float, log: bool = False, prior: tuple[float, float] | None = None) -> None:
        if not low < high or not math.isfinite(low) or not math.isfinite(high) or (log and low <= 0):
            raise ValueError(f"Float({low}, {high}, log={log}) needs finite low < high, and low > 0 with log")
        self.low, self.high, self.log = float(low), float(high), log
        if prior is not None and not (low <= prior[0] <= high and prior[1] > 0):
            raise ValueError(f"prior {prior!r} of a Float is a mean from {low} to {high} and a deviation > 0")
        self._prior = NormalDist(self._scale(prior[0]), prior[1]) if prior is not None else None

    def _scale(self, value: float) -> float:
        return math.log(value) if self.log else value

    def draw_prior(self, draw: Draw) -> float:
        if self._prior is None:
            return self.draw(draw)
        low, high = self._prior.cdf(self._scale(self.low)), self._prior.cdf(self._scale(self.high))
        share = min(max(low + draw() * (high - low), _TINY), 1 - _TINY)
        value = self._prior.inv_cdf(share)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def draw(self, draw: Draw) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + draw() * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def canonical(self, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise self._refuse(value)
        return float(value)

    def other(self, value: float, draw: Draw) -> float:
        return self.draw(draw)

    def neighbours(self, value: float) -> list[float]:
        """A twentieth of the range down and up (of its logarithm, with log)."""
        place = self.encode(value)[0]
        places = [min(max(place + step, 0.0), 1.0) for step in (-0.05, 0.05)]
        return [self.draw(lambda at=at: at) for at in places if at != place]  # type: ignore[misc]

    def encode(self, value: float) -> tuple[float, ...]:
        if self.log:
            return ((math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low)),)
        return ((value - self.low) / (self.high - self.low),)

    def distance(self, a: float, b: float) -> float:
        return abs(self.encode(a)[0] - self.encode(b)[0])

    def __iter__(self) -> Iterator[float]:
        raise Refused(f"{self} has no end of values; a space with a Float cannot be enumerated")

    def __str__(self) -> str:
        return f"the numbers {self.low}..{self.high}"
