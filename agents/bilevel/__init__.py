"""Bi-level reward blending (BARFI): rewards whose weights are learned so that training on them serves the task.

`implicit` has the hyper-gradient, `tabular` the compiled softmax version on finite tasks.
"""
