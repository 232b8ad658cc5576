"""skrl: a DQN on a single and on a vector environment, and what lies in its memory."""

import gymnasium as gym
import torch
from skrl.agents.torch.dqn import DQN
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from task import GAMMA, REWARD, make, require_paid

from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv


class Q(DeterministicMixin, Model):
    """One linear layer."""

    def __init__(self, env, device):
        Model.__init__(
            self, observation_space=env.observation_space, action_space=env.action_space, device=device
        )
        DeterministicMixin.__init__(self)
        self.layer = torch.nn.Linear(4, 2)

    def compute(self, inputs, role):
        """Return the values of both actions."""
        return self.layer(inputs["observations"]), {}


def vector():
    """Return three lanes that reset at an episode's last step: skrl would learn from the reset rows of NEXT_STEP, which pay 0."""
    envs = gym.make_vec(
        "CartPole-v1",
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    )
    return ShapedVectorEnv(envs, REWARD, gamma=GAMMA)


for make_env in (make, vector):
    env = wrap_env(make_env())
    memory = RandomMemory(memory_size=400, num_envs=env.num_envs, device=env.device)
    models = {name: Q(env, env.device) for name in ("q_network", "target_q_network")}
    agent = DQN(
        models=models,
        memory=memory,
        observation_space=env.observation_space,
        action_space=env.action_space,
        device=env.device,
        cfg={"learning_starts": 50, "experiment": {"write_interval": 0, "checkpoint_interval": 0}},
    )
    SequentialTrainer(
        env=env, agents=agent, cfg={"timesteps": 200, "headless": True, "disable_progressbar": True}
    ).train()
    names = ["rewards", "observations", "next_observations", "terminated"]
    rows = [memory.get_tensor_by_name(name)[:200].reshape(200 * env.num_envs, -1) for name in names]
    require_paid(f"skrl with {env.num_envs} lanes", *rows)
