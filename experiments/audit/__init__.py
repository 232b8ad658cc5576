"""What `shapegym audit` finds out about a reward on a task, and how it is shown."""
