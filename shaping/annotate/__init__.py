"""Rewards from what somebody says about captions, mostly a language model: ONI and Motif.

A `Labeller` says who is asked. `Retrieval`, `Classification` and `Ranking` are models over captions that ask, and `oni` makes a
reward of one of them. Nobody waits for answers; a run repeats from the log of them.
"""
