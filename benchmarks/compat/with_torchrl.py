"""TorchRL: a wrapped environment, workers, vector environments and what `info` holds, as tensors."""

import gymnasium as gym
import torch
from task import GAMMA, REWARD, make, require_paid
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper, SerialEnv
from torchrl.envs.utils import check_env_specs

import shapegym as sg
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv


def require(tool, data):
    """Hold a rollout or a collected batch to the expression."""
    after = data["next"]
    require_paid(
        tool,
        *(
            rows.numpy()
            for rows in (after["reward"], data["observation"], after["observation"], after["terminated"])
        ),
    )


def flat():
    """Return the shaped task with infos that are tensors to be."""
    return sg.ShapedEnv(gym.make("CartPole-v1"), REWARD, gamma=GAMMA, flat_info=True)


def vector():
    """Return three lanes that TorchRL resets itself."""
    kwargs = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    envs = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync", vector_kwargs=kwargs)
    return ShapedVectorEnv(envs, REWARD, gamma=GAMMA, flat_info=True)


torch.manual_seed(0)
check_env_specs(GymWrapper(make()))
require("torchrl rollout", GymWrapper(make()).rollout(30, break_when_any_done=False))
require("torchrl SerialEnv", SerialEnv(2, lambda: GymWrapper(make())).rollout(60, break_when_any_done=False))
for batch in Collector(GymWrapper(make()), None, frames_per_batch=64, total_frames=128):
    require("torchrl collector", batch)
require("torchrl vector", GymWrapper(vector()).rollout(60, break_when_any_done=False))

env = GymWrapper(flat()).auto_register_info_dict()
check_env_specs(env)
data = env.rollout(30)["next"]
parts = data["reward_parts/task_reward"] + data["reward_parts/potential"]
assert torch.allclose(data["reward"][:, 0], parts.float(), atol=1e-6)
assert (data["task_reward"] == 1).all()
print("torchrl infos: the task's reward and all parts are tensors")

GymEnv("shapegym/FourRooms-v0").rollout(20)
print("torchrl GymEnv: our ids by name")
