"""A model of your own that learns: random network distillation (Burda et al. 2019) in a few lines.

A network is trained to predict what a fixed random one says of a state. Where the agent has seldom been it predicts badly, and its
error is a bonus. Run it: python examples/predictor.py
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import shapegym as sg
from shapegym.shaping import ModelOutput
from shapegym.shaping.limits import Count, Positive
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.networks import Networks, as_tensor, perceptron
from shapegym.shaping.types import Example, Model


@dataclass(frozen=True)
class Predictor(Model):
    """``error`` (B,): the mean squared error of a trained network that predicts a fixed one, over the code of an encoder."""

    encoder: RandomEncoder = RandomEncoder()
    width: Count = 64
    learning_rate: Positive = 1e-3
    outputs: ClassVar[tuple[str, ...]] = ("error",)

    @classmethod
    def examples(cls):
        return (Example(cls(RandomEncoder(width=4, hidden=8), width=4)),)

    def init(self, spec):
        network = partial(perceptron, self.encoder.width, self.width, self.width)
        pair = {"fixed": network, "trained": network}
        return Networks(pair, self, spec, learning_rate=self.learning_rate, fixed=("fixed",))

    def evaluate(self, transitions, memory, encoded):
        fixed, trained = (memory.evaluate(name, encoded["code"]) for name in ("fixed", "trained"))
        return {"error": ((trained - fixed) ** 2).mean(axis=1)}

    def fit(self, experience, memory, encoded):
        codes = as_tensor(experience.flat(encoded)["code"])
        for chosen in memory.minibatches(len(codes), 512):
            loss = (memory["trained"](codes[chosen]) - memory["fixed"](codes[chosen])).square().mean()
            memory.descend(loss)
        return {"loss": loss.item()}


novelty = sg.normalize(ModelOutput(Predictor())).named("novelty")


def main(task="shapegym/MiniGrid-DoorKey-5x5-v0", steps=65_536):
    """Train on the task reward and a little novelty; the predictor is fitted to each rollout before it is paid."""
    model = sg.make_agent("PPO", task, sg.TaskReward() + 0.01 * novelty, seed=0).learn(steps)
    print(f"success: {sg.evaluate(model, task, 50, deterministic=False).success_rate:.2f}")


if __name__ == "__main__":
    main()
