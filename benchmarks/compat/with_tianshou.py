"""tianshou: collectors over single and worker environments, and a DQN that trains on what they stored."""

import torch
from task import GAMMA, make, require_paid
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in (DummyVectorEnv, SubprocVectorEnv):
        envs = kind([make] * 3)
        space = make().action_space
        policy = DiscreteQLearningPolicy(
            model=Net(state_shape=(4,), action_shape=2, hidden_sizes=[16]),
            action_space=space,
            eps_training=0.5,
        )
        algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(), gamma=GAMMA, target_update_freq=50)
        buffer = VectorReplayBuffer(600, 3)
        collector = Collector(algorithm, envs, buffer)
        algorithm.run_training(
            OffPolicyTrainerParams(
                training_collector=collector,
                max_epochs=1,
                epoch_num_steps=300,
                collection_step_num_env_steps=30,
                batch_size=32,
            )
        )
        stored, _ = buffer.sample(0)  # all of it
        require_paid(f"tianshou {kind.__name__}", stored.rew, stored.obs, stored.obs_next, stored.terminated)
        envs.close()
