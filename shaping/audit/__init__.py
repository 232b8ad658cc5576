"""Audits: how far a reward is from the task's, and whether optimising it still solves the task."""
