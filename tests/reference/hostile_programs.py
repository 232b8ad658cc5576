"""Programs that want something else than to compute a reward, and broken ones; by what they try."""

from __future__ import annotations


def body(*lines: str, before: str = "", end: str = "return 0.0, {}") -> str:
    """A reward of these lines."""
    inner = "\n".join(f"    {line}" for text in lines for line in text.splitlines())
    return f"{before}\ndef compute_reward(before, after, action):\n{inner}\n    {end}\n"


def value(expression: str) -> str:
    """A reward that is one expression."""
    return body(end=f"return {expression}, {{}}")


CANARY = "/tmp/shapegym-canary"
"""A file that none of them must make or read."""

HOSTILE: dict[str, str] = {
    # ---- code from elsewhere
    "import os": body("import os", f"os.system('touch {CANARY}')"),
    "import at the top": body("pass", before=f"import os\nos.system('touch {CANARY}')"),
    "import from": body("pass", before="from os import system"),
    "import as": body("pass", before="import os as math"),
    "import star": body("pass", before="from numpy import *"),
    "import a submodule": body("pass", before="import numpy.f2py"),
    "numpy under another name": body("pass", before="import numpy as after"),
    "dunder import": value(f"__import__('os').system('touch {CANARY}')"),
    "importlib": value("importlib.import_module('os')"),
    "eval": value(f"eval(\"open('{CANARY}', 'w')\")"),
    "exec": body(f"exec(\"open('{CANARY}', 'w')\")"),
    "compile": value("compile('1', '', 'eval')"),
    "open": value(f"len(open('{CANARY}', 'w'))"),
    "print": body("print(after)"),
    "input": value("input()"),
    "getattr": value("getattr(after, 'pos')"),
    "globals": value("globals()['__builtins__']"),
    "vars": value("vars(after)"),
    "breakpoint": body("breakpoint()"),
    "numpy load": value(f"np.load('{CANARY}', allow_pickle=True)"),
    "numpy fromfile": value("np.fromfile('/etc/passwd')"),
    "numpy ctypes": value("np.ctypeslib.load_library('libc', '/')"),
    "math attribute walk": value("math.__loader__.load_module('os')"),
    # ---- attribute walks and dunder tricks
    "class of a feature": value("after.has_key.__class__"),
    "subclasses": value("().__class__.__bases__[0].__subclasses__()"),
    "code object": body("compute_reward.__code__"),
    "globals of a function": value("abs.__globals__"),
    "format string walk": value("'{0.__class__}'.format(after)"),
    "f-string": value("f'{after.__class__}'"),
    "f-string that runs": value(f"f\"{{open('{CANARY}', 'w')}}\""),
    "join": value("''.join(['a'])"),
    "attribute of a number": value("(1).real"),
    "attribute of a call": value("abs(1).real"),
    "assign to a state": body("after.pos = 1"),
    "assign to a module": body("math.sqrt = abs"),
    "assign to an entry": body("after.pos[0] = 1"),
    "delete": body("del after"),
    "underscore names": body("__builtins__ = 1"),
    "dunder memory": body("pass", before="MEMORY = {'__class__': 0.0}"),
    # ---- control that is not there
    "decorator": "@staticmethod\n" + body("pass").lstrip(),
    "decorator that runs": f"@print(open('{CANARY}', 'w'))\n" + body("pass").lstrip(),
    "default argument": f"def compute_reward(before, after, action=open('{CANARY}', 'w')):\n    return 0.0, {{}}",
    "star arguments": "def compute_reward(*args):\n    return 0.0, {}",
    "keyword arguments": "def compute_reward(before, after, action, **kwargs):\n    return 0.0, {}",
    "annotation that runs": f"def compute_reward(before, after, action: open('{CANARY}', 'w')):\n    return 0.0, {{}}",
    "return annotation that runs": f"def compute_reward(before, after, action) -> print('{CANARY}'):\n    return 0.0, {{}}",
    "walrus": value("(x := 1)"),
    "lambda": value("(lambda: 1)()"),
    "nested function": body("def f():\n    return 1"),
    "class": body("class A:\n    pass"),
    "class beside": body("pass", before="class A:\n    x = 1"),
    "metaclass": body("pass", before="class A(metaclass=print):\n    pass"),
    "async": "async def compute_reward(before, after, action):\n    return 0.0, {}",
    "generator": body("yield 1"),
    "await": body("await after"),
    "global": body("global x", "x = 1"),
    "try": body("try:\n    x = 1\nexcept Exception:\n    pass"),
    "with": body(f"with open('{CANARY}', 'w') as f:\n    pass"),
    "raise": body("raise SystemExit"),
    "assert": body("assert after"),
    "match": body("match action:\n    case 1:\n        pass"),
    "recursion": value("compute_reward(before, after, action)[0]"),
    "two functions": body("pass") + body("pass"),
    "a call beside": body("pass", before=f"open('{CANARY}', 'w')"),
    "constant that runs": body("pass", before=f"W = open('{CANARY}', 'w')"),
    # ---- without an end, or too large
    "while": body("while True:\n    pass"),
    "for over a large range": body("for i in range(10**9):\n    pass"),
    "nested loops": body(
        "for i in range(1000):\n    for j in range(1000):\n        for k in range(1000):\n            pass"
    ),
    "for over a function": body("for i in iter(int, 1):\n    pass"),
    "huge power": value("10 ** 10 ** 7"),
    "huge power of itself": value("9 ** 9 ** 9 ** 9"),
    "huge shift": value("1 << 10 ** 10"),
    "huge number": value("9" * 5000),
    "huge float": value("1e999"),
    "huge text": value("len('a' * 10 ** 10)"),
    "huge list": value("len([0] * 10 ** 10)"),
    "huge array": value("np.zeros(10 ** 10)[0]"),
    "comprehension bomb": value("sum([1 for a in range(10**9) for b in range(10**9)])"),
    "generator bomb": value("sum(1 for a in range(10**9))"),
    "dict comprehension": value("len({a: a for a in range(10**9)})"),
    "2,000 branches": body("x = 0", *[f"if action == {n}:\n    x = {n}" for n in range(2000)]),
    "300 branches": body("x = 0", *["if action:\n    x = 1"] * 300),
    "deep parentheses": value("(" * 3000 + "1" + ")" * 3000),
    "deep minus": value("-" * 15000 + "1"),
    "deep sum": value("+".join(["1"] * 3000)),
    "long conjunction": value(" and ".join(["action"] * 1000)),
    "long comparison": value(" < ".join(["action"] * 1000)),
    "long membership": value(f"action in ({', '.join(map(str, range(1000)))})"),
    "long dictionary": body(
        "p = {}", *[f"p['a{n}'] = action" for n in range(400)], end="return sum(p.values()), {}"
    ),
    "deep attributes": value("after" + ".a" * 5000),
    "deep subscripts": value("after.pos" + "[0]" * 3000),
    "deep lists": value("[" * 190 + "]" * 190),
    "deep blocks": "def compute_reward(before, after, action):\n"
    + "\n".join(" " * depth + "if action:" for depth in range(1, 95))
    + "\n"
    + " " * 95
    + "x = 1\n return 0.0, {}",
    "huge source": body("x = 1  # " + "a" * 10**6),
    "many names": body(*[f"x{n} = {n} + action" for n in range(3000)]),
    "many parts": value("0.0").replace("{}", "{" + ", ".join(f"'p{n}': 0" for n in range(100)) + "}"),
    "many slots": body("pass", before="MEMORY = {" + ", ".join(f"'s{n}': 0" for n in range(100)) + "}"),
    # ---- types confused
    "a text as reward": value("'1'"),
    "None as reward": value("None"),
    "bytes": value("b'1'"),
    "complex": value("1j"),
    "ellipsis": value("..."),
    "a state as reward": value("after"),
    "a vector as reward": value("after.pos"),
    "a vector as condition": body("if after.pos:\n    pass"),
    "vectors of two lengths": value("sum(after.pos + after.obs)"),
    "a function as value": value("abs + 1"),
    "an index out of range": value("after.pos[2]"),
    "a negative index out of range": value("after.pos[-3]"),
    "an index that moves": value("after.pos[action]"),
    "a huge index": value("after.pos[2**63]"),
    "a text as index": value("after.pos['x']"),
    "a dictionary in between": value("{'a': 1}['a']"),
    "one name on one path": body("if action:\n    x = 1", end="return x, {}"),
    "no return": "def compute_reward(before, after, action):\n    x = 1",
    "return of three": "def compute_reward(before, after, action):\n    return 1, 2, {}",
    "parts that are numbers": "def compute_reward(before, after, action):\n    return 1, 2",
    "parts without names": "def compute_reward(before, after, action):\n    return 1, {1: 2}",
    "names of parts that lead elsewhere": "def compute_reward(before, after, action):\n    return 1, {'../../x': 2}",
    "unpacked parts": "def compute_reward(before, after, action):\n    return 1, {**after}",
    "shadowed builtin": body("abs = max"),
    "shadowed argument": body("after = before"),
    "shadowed module": body("np = 1"),
    "state hidden in a list": body("seen.append(action)", before="seen = []"),
    "state hidden in an argument": body("after.seen = 1"),
    "memory that was not declared": body("memory.x = 1"),
    "a text in memory": body("pass", before="MEMORY = {'x': 'y'}"),
    "nan": value("float('nan')"),
    "nan by name": value("math.nan"),
    "division of constants by zero": value("1 / 0"),
    "logarithm of nothing": value("log(0)"),
    # ---- no text of a program
    "nothing": "",
    "a comment": "# nothing",
    "prose": "I cannot help with that.",
    "null byte": body("x = 1\x00"),
    "surrogate": body("x = '\ud800'"),
    "unicode look-alike": value("аbs(1)"),
    "full-width name": value("ｅｖａｌ('1')"),
    "right-to-left": body("x = 1  # \u202e", end="return y, {}"),
    "another encoding": "# -*- coding: utf-7 -*-\n" + value("+AGE-"),
    "tabs and spaces": "def compute_reward(before, after, action):\n\tx = 1\n        y = 1\n",
    "truncated": "def compute_reward(before, after, action):\n    return 0.5 * (after.pos[0] -",
    "python 2": body("print after"),
    "another function": "def reward(before, after, action):\n    return 0.0, {}",
    "wrong arguments": "def compute_reward(state, action, next_state):\n    return 0.0, {}",
    "a lambda by that name": "compute_reward = lambda before, after, action: (0.0, {})",
    "json": '{"total": 1}',
}
"""By what is tried. Every one is refused."""

CONTAINED: dict[str, str] = {
    "division by zero": value("1 / (action - action)"),
    "overflow": value("exp(exp(exp(exp(action + 5))))"),
    "nan of infinities": value("(1 / (action - action)) - (1 / (action - action))"),
    "logarithm of a negative": value("log(-1 - action)"),
    "root of a negative": value("sqrt(-1 - action)"),
    "power of a negative": value("(-1.5 - action) ** 0.5"),
    "remainder of nothing": value("action % (action - action)"),
    "memory that grows": "MEMORY = {'x': 1}\ndef compute_reward(before, after, action, memory):\n"
    "    memory.x = memory.x * 1e300 * 1e300\n    return memory.x, {}",
}
"""Programs that compute what is no number: they run, and the engine says where."""
