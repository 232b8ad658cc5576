"""Two small networks that meet in one space of codes, one reading pictures and one reading sentences, and how they are trained.

Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision" (CLIP), in small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shapegym.shaping.similarity.words import words_of


@dataclass(frozen=True)
class Plan:
    """What two towers are made of.

    Attributes:
        shape: rows, columns and channels of a picture.
        vocabulary: words that are read; others are left out.
        channels: of the first layer that reads pictures, twice as many in the next two.
        width: numbers in a code.
    """

    shape: tuple[int, int, int]
    vocabulary: tuple[str, ...]
    channels: int
    width: int


class Towers(nn.Module):
    """Codes of length 1 of pictures and of sentences."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        rows, columns, colours = plan.shape
        c = plan.channels
        sides = [-(-side // 8) for side in (rows, columns)]
        self.picture = nn.Sequential(
            nn.Conv2d(colours, c, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(c, 2 * c, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2 * c, 2 * c, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * c * sides[0] * sides[1], plan.width),
        )
        self.words = nn.Linear(len(plan.vocabulary), 2 * plan.width)
        self.sentence = nn.Linear(2 * plan.width, plan.width)
        self.sharpness = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def see(self, pictures: Tensor) -> Tensor:
        """Return (N, width) of pictures (N, rows, columns, channels), bytes."""
        return nn.functional.normalize(self.picture(pictures.movedim(-1, 1).float() / 255.0 - 0.5))

    def read(self, bags: Tensor) -> Tensor:
        """Return (N, width) of sentences as shares of words, (N, vocabulary)."""
        return nn.functional.normalize(self.sentence(self.words(bags).relu()))


def bag_of(sentence: str, places: dict[str, int]) -> np.ndarray:
    """Return the share of each word of the vocabulary among the known words of a sentence; zeros if none is known."""
    bag = np.zeros(len(places), np.float32)
    for word in words_of(sentence):
        if word in places:
            bag[places[word]] += 1.0
    return bag / max(bag.sum(), 1.0)


def train(
    pictures: np.ndarray,
    sentences: Sequence[Sequence[str]],
    *,
    channels: int = 8,
    width: int = 16,
    steps: int = 1000,
    batch: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Plan, Towers]:
    """Return towers that bring each picture near to the sentences that are true of it, and away from others.

    A batch is made of pairs drawn at random, a picture and one of its sentences; both towers learn to tell the other's half of a
    pair from the rest of the batch. Pairs with the same sentence count as equally right.

    Args:
        pictures: (N, rows, columns, channels) uint8.
        sentences: those that are true of each picture, at least one.
        channels: as in `Plan`.
        width: as in `Plan`.
        steps: of Adam.
        batch: pairs in a step.
        learning_rate: at first; it falls to 0 along a cosine.
        seed: of parameters and batches.
        say: told of the loss from time to time.
    """
    told = sorted({sentence for own in sentences for sentence in own})
    vocabulary = tuple(sorted({word for sentence in told for word in words_of(sentence)}))
    plan = Plan(tuple(pictures.shape[1:]), vocabulary, channels, width)
    places = {word: place for place, word in enumerate(vocabulary)}
    bags = torch.from_numpy(np.stack([bag_of(sentence, places) for sentence in told]))
    number = {sentence: place for place, sentence in enumerate(told)}
    own = [np.array([number[sentence] for sentence in several]) for several in sentences]
    seen, rng = torch.from_numpy(pictures), np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = Towers(plan)
    optimiser = torch.optim.Adam(towers.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = rng.integers(len(own), size=batch)
        said = torch.from_numpy(np.array([rng.choice(own[row]) for row in rows]))
        right = (said[:, None] == said).float()
        right /= right.sum(dim=1, keepdim=True)
        logits = towers.see(seen[rows]) @ towers.read(bags[said]).T * towers.sharpness.exp().clamp(max=100)
        loss = (nn.functional.cross_entropy(logits, right) + nn.functional.cross_entropy(logits.T, right)) / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if (step + 1) % (steps // 5 or 1) == 0:
            say(f"step {step + 1}: loss {loss.item():.3f}")
    return plan, towers.eval()
