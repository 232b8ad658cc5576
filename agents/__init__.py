"""Stable-Baselines3 agents that train on the shaped reward and are judged by the task reward."""
