"""The critic: what is wrong with a reward program, in sentences, each with the transition that shows it, and how far it leads.

`criticise` says it, on `Evidence` that `shapegym.agents.programs` gathers. Read `known.py` (what is known of a task), `measured.py`
(what a program pays there) and then the checks: `units`, `values`, `conditions`, `guidance`.
"""

from shapegym.shaping.programs.critic.criticise import Criticism, criticise
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.critic.finding import Finding, Shown, blames
from shapegym.shaping.programs.critic.known import Known

__all__ = ["Criticism", "Evidence", "Finding", "Known", "Shown", "blames", "criticise"]
