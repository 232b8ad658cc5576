"""How nodes read a state: selectors, and state functions Phi(s)."""
