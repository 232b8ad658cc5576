"""A model of your own that learns: random network distillation (Burda et al. 2019) in thirty lines.

A network is trained to predict what a fixed random network says of a state. Where the agent has seldom been it predicts badly,
and its error is a bonus. Run it: python examples/predictor.py
"""

from dataclasses import dataclass
from typing import ClassVar

import shapegym as sg
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
        def network():
            return perceptron(self.encoder.width, self.width, self.width)

        return Networks(
            {"fixed": network, "trained": network},
            self,
            spec,
            learning_rate=self.learning_rate,
            fixed=("fixed",),
        )

    def evaluate(self, transitions, memory, encoded):
        fixed, trained = (memory.evaluate(name, encoded["code"]) for name in ("fixed", "trained"))
        return {"error": ((trained - fixed) ** 2).mean(axis=1)}

    def fit(self, experience, memory, encoded):
        codes = as_tensor(experience.flat(encoded)["code"])
        for chosen in memory.minibatches(len(codes), 512):
            loss = (memory["trained"](codes[chosen]) - memory["fixed"](codes[chosen])).square().mean()
            memory.descend(loss)
        return {"loss": loss.item()}


novelty = sg.normalize(sg.ModelOutput(Predictor())).named("novelty")

if __name__ == "__main__":
    model = sg.make_agent("PPO", "shapegym/MiniGrid-DoorKey-5x5-v0", sg.TaskReward() + 0.01 * novelty, seed=0)
    model.learn(65_536)
    print(sg.evaluate(model, "shapegym/MiniGrid-DoorKey-5x5-v0", 50))
