"""Intrinsic rewards: what an agent is paid for seeing something new, each a term over models that may be shared."""
