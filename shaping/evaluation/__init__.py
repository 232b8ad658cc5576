"""How an expression is evaluated: what is measured when, what is paid when, and what is remembered."""
