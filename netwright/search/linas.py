"""LINAS: measure a few, fit weak predictors, search on those alone, measure what they like best, and again
(Sarah, Cummings, Sridhar et al. 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from netwright.errors import MissingExtra, Refused
from netwright.search.base import Strategy, Told
from netwright.search.pareto import best_places, front


class PredictorLike(Protocol):
    """All that a search may use of a predictor."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> object: ...
    def predict(self, x: np.ndarray) -> np.ndarray: ...


_Measured = tuple[Any, np.ndarray, tuple[float, ...], float]  # candidate, encoding, costs, violation


class LINAS(Strategy):
    """Rounds of `batch` measurements; each round fits a predictor per objective on everything measured.

    predictor  makes a predictor: predictor() -> fit / predict. None: ridge regression from scikit-learn
    first      candidates measured before the first fit, at random
    batch      candidates measured between two fits
    inner      predicted candidates a round: an evolutionary search on the predictors (the paper's J), or the whole
               space where `everything` gives it
    encode     a candidate as the predictor's row [d]; None: the space's encoding of its decisions
    everything all candidates of a small space, predicted whole instead of searched; `codes` their encodings [n, d]
    explore    share of a batch that is drawn at random among the predicted
    optimism   deviations by which costs are taken lower than predicted, where the predictor knows them (`spread`)
    reference  of two objectives, the worst values that are worth having: volume is counted up to them, and what is
               predicted beyond is measured last. None: a tenth beyond the worst of the front
    With several objectives the batch is spread over the predicted front: each member is the one that adds most to the
    volume that measured and chosen ones dominate together. Objectives that a bound limits are predicted, too, and
    what is predicted to break it comes last.
    """

    name = "linas"

    def __init__(self, *arguments: Any, predictor: Callable[[], PredictorLike] | None = None, first: int = 50,
                 batch: int = 10, inner: int = 4_000, everything: Sequence[Any] | None = None,
                 codes: np.ndarray | None = None, encode: Callable[[Any], Any] | None = None, explore: float = 0.0,
                 optimism: float = 2.0, reference: Sequence[float] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if first < 2 or batch < 1 or inner < 1 or not 0 <= explore <= 1:
            raise ValueError("first is at least 2, batch and inner at least 1, and explore a share")
        self.predictor, self.first, self.batch, self.inner = predictor or _ridge, first, batch, inner
        self.explore, self.optimism = explore, optimism
        self.encode: Callable[[Any], Any] = encode or self.space.encode
        if reference is not None and not len(reference) == len(self.goals) == 2:
            raise ValueError("a reference is two values, for two objectives")
        self._reference: np.ndarray | None = None
        if reference is not None:
            self._reference = np.array([goal.cost(value) for goal, value in zip(self.goals, reference, strict=True)])
        self.everything = list(everything) if everything is not None else None
        self._codes = codes
        if self.everything is not None and codes is None:
            self._codes = np.array([self.encode(candidate) for candidate in self.everything])
        self._measured: list[_Measured] = []
        self._plan: list[Any] = []
        self._planned = -1

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        # A plan follows from the first so many results alone, so that a log rebuilds it.
        rounds = (len(self._measured) - self.first) // self.batch
        if rounds < 0:
            return self.space.sample(rng)
        if rounds != self._planned:
            known, begun = self._measured[: self.first + rounds * self.batch], rng.bit_generator.state
            self._plan, self._planned = self._round(known, self.generator(rounds, "round")), rounds
            rng.bit_generator.state = begun  # one generator serves both: the trial's own draws are those of any replay
        for candidate in self._plan:
            if candidate not in self._seen and (self.accept is None or self.accept(candidate)):
                return candidate
        return self.space.sample(rng)

    def observe(self, told: Told) -> None:
        if np.isfinite(told.costs).all():
            code = self.encode(told.trial.candidate)
            self._measured.append((told.trial.candidate, code, told.costs, told.violation))

    def _round(self, measured: list[_Measured], rng: np.random.Generator) -> list[Any]:
        """A batch and some to spare, best first."""
        x = np.array([code for _, code, _, _ in measured])
        y = np.array([costs for _, _, costs, _ in measured])
        broken = np.array([violation for *_, violation in measured])
        models = []
        for column in [*y.T, *([broken] if (broken > 0).any() else [])]:
            model = self.predictor()
            model.fit(x, np.asarray(column))
            models.append(model)
        candidates, costs = self._pool(measured, models, rng)
        known = {candidate for candidate, *_ in measured}
        new = [place for place, candidate in enumerate(candidates) if candidate not in known]
        if not new:
            return []
        candidates, costs = [candidates[place] for place in new], costs[new]
        picked = self._spread(costs, y[broken <= 0] if (broken <= 0).any() else y)
        lot = rng.permutation(len(candidates))[: round(self.explore * self.batch)].tolist()
        return [candidates[place] for place in [*lot, *picked]]

    def _pool(self, measured: list[_Measured], models: list[PredictorLike],
              rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
        """Candidates with their predicted costs [n, m]; a predicted violation is added to all of them."""
        if self.everything is not None and self._codes is not None:
            return self.everything, self._costs(models, self._codes)
        size = 50
        order = best_places(np.array([costs for _, _, costs, _ in measured]), size)
        parents = [measured[place][0] for place in order]
        found: dict[Any, None] = dict.fromkeys(parents)
        everyone = list(parents)
        costs = self._costs(models, np.array([self.encode(candidate) for candidate in parents]))
        while len(found) < self.inner:
            children = [child for child in (self._child(everyone, rng) for _ in range(4 * size)) if child not in found]
            if not children:
                break
            children = list(dict.fromkeys(children))
            found.update(dict.fromkeys(children))
            predicted = self._costs(models, np.array([self.encode(child) for child in children]))
            costs = np.concatenate([costs, predicted])
            everyone = everyone + children
            kept = best_places(costs, 2 * size)
            everyone, costs = [everyone[place] for place in kept], costs[kept]
        return everyone, costs

    def _child(self, parents: list[Any], rng: np.random.Generator) -> Any:
        one, two = (parents[int(len(parents) * rng.random() ** 2)] for _ in range(2))
        try:
            child = self.space.crossover(one, two, rng) if rng.random() < 0.5 else one
            return self.space.mutate(child, rng) if child == one or rng.random() < 0.5 else child
        except Refused:
            return one

    def _costs(self, models: list[PredictorLike], codes: np.ndarray) -> np.ndarray:
        predicted = np.array([self._guess(model, codes) for model in models]).T
        goals = len(self.goals)
        if predicted.shape[1] == goals:
            return predicted
        spread = np.maximum(np.ptp(predicted[:, :goals], axis=0), 1e-9)
        found: np.ndarray = predicted[:, :goals] + 10 * np.maximum(predicted[:, goals:], 0.0) * spread
        return found

    def _guess(self, model: PredictorLike, codes: np.ndarray) -> np.ndarray:
        if self.optimism == 0 or not hasattr(model, "spread"):
            return model.predict(codes)
        mean, deviation = model.spread(codes)
        found: np.ndarray = mean - self.optimism * deviation
        return found

    def _spread(self, costs: np.ndarray, measured: np.ndarray) -> list[int]:
        """Places of the batch, best first, and of as many again."""
        if costs.shape[1] != 2:
            return best_places(costs, 2 * self.batch).tolist()
        near, known = best_places(costs, max(200, 4 * self.batch)), measured[front(measured)]
        bound = 1.1
        if self._reference is not None:
            bound = 1.0
            known = known[(known < self._reference).all(axis=1)]
            inside = np.flatnonzero((costs < self._reference).all(axis=1))
            gains = _gains(costs[inside], known, self._reference)
            near = inside[np.argsort(-gains, kind="stable")[: max(400, 4 * self.batch)]]
            if not len(near):
                return best_places(costs, 2 * self.batch).tolist()
        picked: list[int] = []
        low = np.concatenate([costs[near], known]).min(axis=0)
        high = known.max(axis=0) if self._reference is None else self._reference
        scale = np.where(high > low, high - low, 1.0)
        points, have = (costs[near] - low) / scale, (known - low) / scale
        free = np.ones(len(near), dtype=bool)
        for _ in range(min(2 * self.batch, len(near))):
            best = int(np.argmax(np.where(free, _gains(points, have, np.full(2, bound)), -1.0)))
            picked.append(int(near[best]))
            free[best] = False
            have = np.concatenate([have, points[best : best + 1]])
        if len(picked) < 2 * self.batch:  # too few within the reference
            rest = best_places(costs, min(4 * self.batch, len(costs))).tolist()
            picked += [place for place in rest if place not in picked][: 2 * self.batch - len(picked)]
        return picked


def _gains(points: np.ndarray, have: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The area [n] that each point [n, 2] adds to what `have` [m, 2] dominates, up to a bound [2]."""
    if not len(have):
        return np.clip(bound - points, 0.0, None).prod(axis=1)
    steps = have[np.lexsort((have[:, 1], have[:, 0]))]
    steps = steps[np.concatenate(([True], steps[1:, 1] < np.minimum.accumulate(steps[:, 1])[:-1]))]
    left = np.concatenate(([-np.inf], steps[:, 0]))
    right = np.concatenate((steps[:, 0], bound[:1]))
    ceiling = np.concatenate((bound[1:], steps[:, 1]))
    widths = np.clip(np.minimum(right, bound[0]) - np.maximum(left, points[:, :1]), 0.0, None)
    heights = np.clip(np.minimum(ceiling, bound[1]) - points[:, 1:], 0.0, None)
    found: np.ndarray = (widths * heights).sum(axis=1)
    return found


def _ridge() -> PredictorLike:
    try:
        from sklearn.linear_model import RidgeCV
    except ImportError:
        raise MissingExtra("the predictor of linas (scikit-learn)", "search") from None
    model: PredictorLike = RidgeCV(np.logspace(-3, 3, 13))
    return model


strategy = LINAS
