"""The loop in which somebody who writes programs, mostly a language model, designs the reward of a task; see ``docs/design.md``."""
