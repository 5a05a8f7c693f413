"""NASNet's controller: a recurrent network that draws each decision by those before it, learned by proximal policy
optimisation (Zoph et al. 2018, appendix A.1; Schulman et al. 2017)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from netwright.errors import MissingExtra
from netwright.search.controller import Controller, Draw, drawn

SPREAD = 0.1  # weights are uniform in +-0.1


class RecurrentPPO(Controller):
    """An LSTM of one layer reads the value that was chosen last and rates the values that are offered next.

    Every value of every address has a row of its own, as input and as output; rows are made where a candidate first
    brings them up, so that any space will do. Needs torch.

    hidden         width of the LSTM (100 in the paper)
    batch          results a batch (20 in the paper)
    passes         gradient steps over a batch
    clip           how far a candidate's probability may move from what it was when the batch ended
    learning_rate  of Adam (3.5e-4 in the paper, which has 20,000 children)
    entropy        weight of the policy's entropy in what is maximised
    """

    name = "recurrent-ppo"

    def __init__(self, *arguments: Any, hidden: int = 100, batch: int = 20, passes: int = 10, clip: float = 0.2,
                 learning_rate: float = 2e-3, decay: float = 0.95, entropy: float = 1e-5, **settings: Any) -> None:
        super().__init__(*arguments, decay=decay, **settings)
        if hidden < 1 or batch < 1 or passes < 1 or clip <= 0:
            raise ValueError("hidden, batch and passes are at least 1, and clip above 0")
        self.batch, self.passes, self.clip, self.entropy = batch, passes, clip, entropy
        self._net = _Net(hidden, self.seed, learning_rate)
        self._held: list[tuple[list[tuple[list[int], int]], float]] = []

    def drawing(self) -> Draw:
        step = self._net.stepper()

        def draw(address: str, values: list[Any], rng: np.random.Generator) -> int:
            if len(values) == 1:
                return 0
            rows = self._rows(address, values)
            place = drawn(step.shares(rows), rng)
            step.took(rows[place])
            return place

        return draw

    def learn(self, candidate: Any, advantage: float) -> None:
        """Hold the result until a batch is together."""
        made = [(self._rows(address, values), values.index(candidate[address]))
                for address, values in self.decided(candidate)]
        self._held.append((made, advantage))
        if len(self._held) == self.batch:
            gains = np.array([gain for _, gain in self._held])
            made_all = [made for made, _ in self._held]
            if any(made_all):
                self._net.learn(made_all, gains / (gains.std() or 1.0), self.passes, self.clip, self.entropy)
            self._held = []

    def _rows(self, address: str, values: list[Any]) -> list[int]:
        """The network's rows of an address's values."""
        return [self._net.row(f"{address}={value!r}") for value in values]


class _Net:
    """Weights by name, Adam, and the two ways through the LSTM: one decision at a time, and a batch of candidates."""

    def __init__(self, hidden: int, seed: int, rate: float) -> None:
        try:
            import torch
        except ImportError:
            raise MissingExtra("the recurrent controller (torch)", "train") from None
        self.torch, self.hidden, self.seed, self.rate = torch, hidden, seed, rate
        self._places: dict[str, int] = {}
        sizes = {"read": hidden, "rate": hidden, "offset": 1}
        self.tables = {name: torch.zeros(0, width) for name, width in sizes.items()}
        self.cell = torch.nn.utils.skip_init(torch.nn.LSTMCell, hidden, hidden).requires_grad_(False)
        for name, weight in self.cell.named_parameters():
            weight.data = self._drawn(name, tuple(weight.shape))
        self._moments: dict[str, tuple[Any, Any]] = {}
        self._steps = 0

    def _drawn(self, name: str, shape: tuple[int, ...]) -> Any:
        """Weights that follow from the seed and their name alone."""
        digest = blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        generator = self.torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        return SPREAD * (2 * self.torch.rand(shape, generator=generator) - 1)

    def row(self, decision: str) -> int:
        """The row of an address's value, made where it is new; its weights follow from its name, not from when."""
        if decision not in self._places:
            self._places[decision] = len(self._places)
            for name, table in self.tables.items():
                self.tables[name] = self.torch.cat([table, self._drawn(f"{name}/{decision}", (1, table.shape[1]))])
        return self._places[decision]

    def stepper(self) -> _Stepper:
        """One candidate's way."""
        return _Stepper(self)

    def learn(self, made: list[list[tuple[list[int], int]]], gains: np.ndarray, passes: int, clip: float,
              entropy: float) -> None:
        """Steps of Adam up the clipped objective; `made` is each candidate's decisions: rows offered, place taken."""
        torch = self.torch
        batch, most = _padded(made), torch.tensor(gains, dtype=torch.float32)
        weights = {**self.tables, **dict(self.cell.named_parameters())}
        for weight in weights.values():
            weight.requires_grad_()
        before = None
        for _ in range(passes):
            logs, spread = self.logs(batch)
            before = logs.detach() if before is None else before
            ratio = (logs - before).clamp(-20, 20).exp()
            gain = torch.minimum(ratio * most, ratio.clamp(1 - clip, 1 + clip) * most)
            gradients = torch.autograd.grad((gain + entropy * spread).mean(), list(weights.values()), allow_unused=True)
            self._ascend(weights, gradients)
        for weight in weights.values():
            weight.requires_grad_(False)

    def logs(self, batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[Any, Any]:
        """(log p of each candidate [n], the summed entropies of its decisions [n])."""
        torch = self.torch
        rows, offered, places = (torch.as_tensor(part) for part in batch)
        n, steps, _ = rows.shape
        h = c = read = torch.zeros(n, self.hidden)
        logs, spread = torch.zeros(n), torch.zeros(n)
        for t in range(steps):
            h, c = self.cell(read, (h, c))
            raw = (self.tables["rate"][rows[:, t]] @ h[:, :, None]).squeeze(2) + self.tables["offset"][rows[:, t], 0]
            there = offered[:, t].any(1)
            shares = raw.masked_fill(~offered[:, t] & there[:, None], -1e9).log_softmax(1)
            logs = logs + torch.where(there, shares.gather(1, places[:, t : t + 1]).squeeze(1), 0.0)
            spread = spread - torch.where(there, (shares.exp() * shares).sum(1), 0.0)
            read = self.tables["read"][rows[:, t].gather(1, places[:, t : t + 1]).squeeze(1)]
        return logs, spread

    def _ascend(self, weights: dict[str, Any], gradients: Any) -> None:
        torch = self.torch
        self._steps += 1
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                if gradient is None:
                    continue
                first, second = self._moments.get(name, (torch.zeros_like(weight),) * 2)
                room = torch.zeros_like(weight[len(first):])  # rows that are new since
                first = 0.9 * torch.cat([first, room]) + 0.1 * gradient
                second = 0.999 * torch.cat([second, room]) + 0.001 * gradient**2
                self._moments[name] = first, second
                one, two = first / (1 - 0.9**self._steps), second / (1 - 0.999**self._steps)
                weight += self.rate * one / (two.sqrt() + 1e-8)


class _Stepper:
    """Where one candidate stands between two decisions."""

    def __init__(self, net: _Net) -> None:
        self._net = net
        self._h = self._c = self._read = net.torch.zeros(1, net.hidden)

    def shares(self, rows: list[int]) -> np.ndarray:
        """Probabilities [k] of what is offered."""
        net = self._net
        with net.torch.no_grad():
            self._h, self._c = net.cell(self._read, (self._h, self._c))
            raw = net.tables["rate"][rows] @ self._h[0] + net.tables["offset"][rows, 0]
            found: np.ndarray = raw.double().softmax(0).numpy()
        return found

    def took(self, row: int) -> None:
        """What was chosen is read at the next decision."""
        self._read = self._net.tables["read"][row : row + 1]


def _padded(made: list[list[tuple[list[int], int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows [n, T, K], whether they are offered, and places taken [n, T]; what is beyond a candidate's end is row 0."""
    steps = max(len(decisions) for decisions in made)
    wide = max((len(rows) for decisions in made for rows, _ in decisions), default=1)
    rows, places = np.zeros((len(made), steps, wide), np.int64), np.zeros((len(made), steps), np.int64)
    offered = np.zeros(rows.shape, bool)
    for n, decisions in enumerate(made):
        for t, (given, place) in enumerate(decisions):
            rows[n, t, : len(given)], offered[n, t, : len(given)], places[n, t] = given, True, place
    return rows, offered, places


strategy = RecurrentPPO
