"""Random programs, valid by construction, over whatever an abstraction shows.

`random_program` writes plausible rewards from idioms of shaping, `mutate` and `cross` change and mix them; that is a designer who
needs no model. `wild_program` writes anything that the language allows, to try its evaluations on. All of them are functions of an
abstraction and a NumPy Generator: the same ones give the same text.
"""

from shapegym.shaping.programs.grammar.breeding import cross, mutate, random_program
from shapegym.shaping.programs.grammar.wild import wild_program

__all__ = ["cross", "mutate", "random_program", "wild_program"]
