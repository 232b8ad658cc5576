"""The commands that compare: each module is one."""
