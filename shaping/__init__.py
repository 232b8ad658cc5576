"""Reward expressions over transitions: terms measure, combinators combine.

`types.py` is the contract and the file to read first; `algebra.py` is the arithmetic; `evaluation` evaluates. Where rewards enter
reinforcement learning (Gymnasium, Stable-Baselines3, PettingZoo) is `shapegym.shaping.surfaces`.
"""

from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.annotate.classification import Classification
from shapegym.shaping.annotate.labellers import Oracle, Recorded
from shapegym.shaping.annotate.language_model import LanguageModel
from shapegym.shaping.annotate.oni import oni
from shapegym.shaping.annotate.ranking import Ranking
from shapegym.shaping.annotate.retrieval import Retrieval
from shapegym.shaping.combinators.advice import ActionPotential, LookAhead, look_ahead_advice
from shapegym.shaping.combinators.bounds import Delta, cap, delta
from shapegym.shaping.combinators.elementwise import geometric_mean, log_sigmoid_and, sign, when
from shapegym.shaping.combinators.episode_sharpe import EpisodeSharpe
from shapegym.shaping.combinators.gate import Gate, gate
from shapegym.shaping.combinators.groups import GroupRelative, group_relative
from shapegym.shaping.combinators.logged import Logged
from shapegym.shaping.combinators.max_drawdown import MaxDrawdown
from shapegym.shaping.combinators.means import HarmonicMean, harmonic_mean, reference_quantiles
from shapegym.shaping.combinators.redistribute import Redistribute, redistribute
from shapegym.shaping.combinators.renorm import Renorm, renorm
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dump_reward, load_reward
from shapegym.shaping.files.state_files import load_engine, load_models, save_engine
from shapegym.shaping.intrinsic.agac import AGAC
from shapegym.shaping.intrinsic.deir import DEIR
from shapegym.shaping.intrinsic.disagreement import Disagreement
from shapegym.shaping.intrinsic.e3b import E3B, EllipticalNovelty
from shapegym.shaping.intrinsic.etd import ETD
from shapegym.shaping.intrinsic.icm import ICM
from shapegym.shaping.intrinsic.ngu import NGU, KernelCount, PseudoCounts
from shapegym.shaping.intrinsic.noveld import NovelD, NoveltyGain
from shapegym.shaping.intrinsic.re3 import RE3, NeighbourDistance
from shapegym.shaping.intrinsic.ride import RIDE, Impact
from shapegym.shaping.intrinsic.rnd import RND
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.models.recurrent_encoder import RecurrentEncoder
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.programs.term import PotentialProgram, RewardProgram, program_reward
from shapegym.shaping.promises import Guarantee, Replay
from shapegym.shaping.similarity.goal import GoalSimilarity
from shapegym.shaping.similarity.pictures import PictureEncoder
from shapegym.shaping.similarity.sentences import SentenceEncoder
from shapegym.shaping.similarity.words import WordHash
from shapegym.shaping.states.arithmetic import maximum, minimum
from shapegym.shaping.states.distance import Distance, ExponentialKernel, Gaussian, Tiered
from shapegym.shaping.states.functions import Read, StateFunction, Table, state_function
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.terms.best_so_far import BestSoFar
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.differential_sharpe import DifferentialSharpe
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.goals import GoalReached, StateReward
from shapegym.shaping.terms.machine_potential import MachinePotential
from shapegym.shaping.terms.machine_state import MachineState
from shapegym.shaping.terms.occupancy import OccupancyPenalty
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.progress import Progress
from shapegym.shaping.terms.reward_machine import Edge, RewardMachine
from shapegym.shaping.terms.stamped import Stamped
from shapegym.shaping.terms.subgoals import Subgoal
from shapegym.shaping.terms.team import TeamMean
from shapegym.shaping.terms.team_difference import TeamDifference
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_losses, guarantee_of
from shapegym.shaping.types import Combinator, EpisodicCombinator, Expression, Term
from shapegym.shaping.weights.bandit import EXP3, UCB1, Choose, choose_by
from shapegym.shaping.weights.blend import LearnedWeight, blend
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.multipliers import Multiplier, constrained
from shapegym.shaping.weights.normalize import RunningMean, RunningScale, normalize
from shapegym.shaping.weights.paying import paying
from shapegym.shaping.weights.schedules import Cosine, Exponential, Linear, OnPlateau, Piecewise, anneal
from shapegym.shaping.weights.standardise import Standardised
from shapegym.shaping.weights.trust import Trust, trusted

__all__ = [
    "AGAC",
    "DEIR",
    "E3B",
    "ETD",
    "EXP3",
    "ICM",
    "NGU",
    "RE3",
    "RIDE",
    "RND",
    "UCB1",
    "ActionPotential",
    "BestSoFar",
    "Choose",
    "Classification",
    "Combinator",
    "Compare",
    "Constant",
    "Cosine",
    "CountBonus",
    "Delta",
    "DifferentialSharpe",
    "Disagreement",
    "Distance",
    "DynamicPotential",
    "Edge",
    "EllipticalNovelty",
    "EpisodeSharpe",
    "EpisodicCombinator",
    "Event",
    "Exponential",
    "ExponentialKernel",
    "Expression",
    "Gate",
    "Gaussian",
    "GoalReached",
    "GoalSimilarity",
    "GroupRelative",
    "Guarantee",
    "HarmonicMean",
    "Impact",
    "InverseDynamics",
    "KernelCount",
    "LanguageModel",
    "LearnedWeight",
    "Linear",
    "Logged",
    "LookAhead",
    "MachinePotential",
    "MachineState",
    "MaxDrawdown",
    "Milestones",
    "ModelOutput",
    "Multiplier",
    "NeighbourDistance",
    "NovelD",
    "NoveltyGain",
    "OccupancyPenalty",
    "OnPlateau",
    "Oracle",
    "PictureEncoder",
    "Piecewise",
    "Potential",
    "PotentialProgram",
    "Progress",
    "PseudoCounts",
    "Ranking",
    "Read",
    "Recorded",
    "RecurrentEncoder",
    "Redistribute",
    "Renorm",
    "Replay",
    "Retrieval",
    "RewardEngine",
    "RewardMachine",
    "RewardProgram",
    "RunningMean",
    "RunningScale",
    "SentenceEncoder",
    "ShapingError",
    "Sight",
    "SimHash",
    "Spec",
    "Stamped",
    "Standardised",
    "StateFunction",
    "StateReward",
    "Subgoal",
    "Table",
    "TaskReward",
    "TeamDifference",
    "TeamMean",
    "Term",
    "Tiered",
    "Transitions",
    "Trust",
    "WordHash",
    "anneal",
    "blend",
    "cap",
    "choose_by",
    "clip",
    "constrained",
    "delta",
    "dump_reward",
    "gate",
    "geometric_mean",
    "group_relative",
    "guarantee_losses",
    "guarantee_of",
    "harmonic_mean",
    "load_engine",
    "load_models",
    "load_reward",
    "log_sigmoid_and",
    "look_ahead_advice",
    "maximum",
    "minimum",
    "normalize",
    "oni",
    "paying",
    "program_reward",
    "redistribute",
    "reference_quantiles",
    "renorm",
    "save_engine",
    "sign",
    "state_function",
    "trusted",
    "when",
]
