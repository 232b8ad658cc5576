"""RLlib's new API stack: PPO on a shaped environment, in the process and in a worker, and the episodes that it samples."""

import numpy as np
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env
from task import make, require_paid

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_env("shaped-cartpole", lambda config: make())
    for workers in (0, 1):
        algorithm = (
            PPOConfig()
            .environment("shaped-cartpole")
            .env_runners(num_env_runners=workers, num_envs_per_env_runner=2)
            .training(train_batch_size=400, minibatch_size=100, num_epochs=1)
            .build_algo()
        )
        found = algorithm.train()
        assert found["env_runners"]["episode_return_mean"] > 5
        group = algorithm.env_runner_group
        sampled = group.foreach_env_runner(
            lambda runner: [
                (np.array(e.get_observations()), np.array(e.get_rewards()), e.is_terminated)
                for e in runner.sample(num_episodes=4, random_actions=True)
            ],
            local_env_runner=not workers,
        )
        episodes = [episode for runner in sampled for episode in runner]
        obs = np.concatenate([seen[:-1] for seen, _, _ in episodes])
        after = np.concatenate([seen[1:] for seen, _, _ in episodes])
        ends = [np.arange(len(paid)) == len(paid) - 1 for _, paid, _ in episodes]
        terminated = np.concatenate([end & over for end, (_, _, over) in zip(ends, episodes, strict=True)])
        require_paid(
            f"rllib with {workers} workers",
            np.concatenate([paid for _, paid, _ in episodes]),
            obs,
            after,
            terminated,
        )
        algorithm.stop()
    ray.shutdown()
