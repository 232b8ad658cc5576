"""Reward programs: rewards that somebody wrote, or a model, as checked data.

A program is a text in a small part of Python (`read_program`). It sees the states before and after a step through an `Abstraction`,
named features with lengths, units and ranges, and nothing else. What was read is a typed tree; it is evaluated by a compiled kernel
over all lanes (`shapegym.shaping.programs.evaluations.kernel`), and by two others that agree with it to the last bit.
"""
