"""SBX (Stable-Baselines in JAX): `wire` on each of its algorithms, then what lies in the buffer."""

from sbx import DDPG, DQN, PPO, SAC, TD3, TQC, CrossQ
from task import REWARD, require_paid

import shapegym as sg

pendulum = sg.TaskReward() + 0.5 * sg.Potential("obs[2]")

model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=64, seed=0)
sg.wire(model, REWARD)
model.learn(256)
task = model.rollout_buffer.settled.task
assert (task == 1.0).all()
assert abs(model.rollout_buffer.settled.shaped - task).max() > 1e-3
assert not sg.check_wiring(model)

model = DQN("MlpPolicy", "CartPole-v1", learning_starts=100, gamma=0.99, seed=0)
sg.wire(model, REWARD)
model.learn(256)
batch = model.replay_buffer.sample(200)
columns = (batch.rewards, batch.observations, batch.next_observations, batch.dones)
require_paid("sbx DQN", *(column.numpy() for column in columns))
assert not sg.check_wiring(model)

for algorithm in (SAC, TD3, DDPG, TQC, CrossQ):
    model = algorithm("MlpPolicy", "Pendulum-v1", learning_starts=50, seed=0)
    sg.wire(model, pendulum)
    model.learn(100)
    batch = model.replay_buffer.sample(50)
    speed, angular = batch.observations[:, 2].numpy(), batch.next_observations[:, 2].numpy()
    shaping = 0.5 * (model.gamma * angular - speed)
    task = batch.rewards[:, 0].numpy() - shaping
    assert (task <= 1e-4).all(), algorithm  # Pendulum pays costs
    assert not sg.check_wiring(model)
    print(f"sbx {algorithm.__name__}: shaped and no findings")
