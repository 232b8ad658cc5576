"""How near a state is to a goal that is said in words.

    Potential(GoalSimilarity("the door is open", baseline="the door is locked", alpha=0.5, encoder=SentenceEncoder()))

Source: Rocamonde et al. 2024, "Vision-language models are zero-shot reward models for reinforcement learning" (VLM-RM).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, TypeAlias

import gymnasium as gym
import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.errors import EncoderError, ExpressionError, ObservationError
from shapegym.shaping.limits import Fraction, Unfit
from shapegym.shaping.reading import Reads
from shapegym.shaping.similarity.encoder import LONGEST_TEXT, Encoder
from shapegym.shaping.similarity.recall import Recall
from shapegym.shaping.similarity.words import WordHash
from shapegym.shaping.states.functions import StateFunction
from shapegym.shaping.states.select import ANY, Selector, selector
from shapegym.shaping.transitions import Features, Observation, Spec
from shapegym.texts import decode, encode, longest

SAME = 1e-6
"""Distance of codes below which they count as equal."""

_WHAT = "a text (uint8 bytes such as features.caption, or strings) or a picture (uint8, rows and columns)"


def _said(text: str) -> Selector | None:
    """What a goal is read from, if it is no sentence but ``features.NAME`` or ``obs.NAME``."""
    try:
        read = selector(text)
    except ExpressionError:
        return None
    return read if read.source in ("features", "obs") and read.path else None


def _require_words(text: str) -> None:
    if not text.strip():
        raise Unfit("must be sentences that say something, got an empty one.")


def _require_whole(text: str) -> None:
    ANY.read(text)
    if selector(text).columns is not None or selector(text).of_step:
        raise Unfit(f"must select a whole text or picture of a state, got {text!r}.")


def _check_shown(text: str, spec: Spec) -> None:
    space = selector(text).space(spec)
    if space is None or isinstance(space, gym.spaces.Text):
        return
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (1, 2, 3):
        raise ObservationError(f"GoalSimilarity compares {_WHAT}, and {text!r} is {space}.")


_SHOWN = replace(ANY, read=_require_whole, check=_check_shown)
_GOAL = Reads(
    _require_words,
    keep=False,
    features=lambda text: ANY.features(text) if _said(text) else (),
    entries=lambda text: ANY.entries(text) if _said(text) else (),
    check=lambda text, spec: _check_shown(text, spec) if _said(text) else None,
)
Sentence: TypeAlias = Annotated[str, _GOAL, "a sentence, or features.NAME for one that is read"]
Sentences: TypeAlias = Sentence | Annotated[tuple[Sentence, ...], MinLen(1)]
"""A sentence or several: they count as the mean of their codes, as it is, not brought to length 1 again."""


@dataclass(frozen=True)
class GoalSimilarity(StateFunction):
    """``1 - |(x - g) P|^2 / 2`` of the code x of a text or picture of the state, in [-1, 1]; 1 at the goal.

    g is the code of the goal. Without a baseline P is the identity, and the value is the cosine of the angle between x and g. With
    the code b of a baseline, which says what is so in any state, and ``d = g - b``, ``P = alpha d d^T / |d|^2 + (1 - alpha) I``:
    what differs from the goal in other directions than d counts (1 - alpha)^2 as much. alpha = 1 looks along d alone.

    A text that is empty says nothing and has the value 0, which for a cosine is that of an unrelated one. Texts are cut after 4,096
    characters; bytes that are no UTF-8 are read as "\N{REPLACEMENT CHARACTER}".

    Of ``features.caption``, which tells of the step before, the value is a function of the state with its caption.

    Args:
        goal: sentences that are true at the goal; ``features.mission`` reads one that is different from lane to lane.
        baseline: sentences that are true at the goal and elsewhere. Without one, alpha must be 0.
        alpha: strength of the projection, in [0, 1].
        encoder: what makes codes of sentences and of what the state shows.
        of: selector of a text or of a picture; pictures need an encoder that sees.
    """

    goal: Sentences
    baseline: Sentences | None = None
    alpha: Fraction = 0.0
    encoder: Encoder = WordHash()
    of: Annotated[str, _SHOWN, "a selector such as 'features.caption'"] = "features.caption"

    bound = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha and self.baseline is None:
            raise ExpressionError(
                "GoalSimilarity: alpha projects on the direction from the baseline to the goal, so alpha > 0 needs a baseline: a "
                'sentence that is true in any state, such as "a car in the mountains".'
            )
        if self.baseline is not None and set(_listed(self.baseline)) == set(_listed(self.goal)):
            raise ExpressionError("GoalSimilarity: the baseline says the same as the goal.")

    @override
    def check(self, spec: Spec) -> None:
        """Raise a `ShapingError` unless the state can be read and compared, and goal and baseline can be told apart."""
        super().check(spec)
        space = selector(self.of).space(spec)
        if isinstance(space, gym.spaces.Box) and len(space.shape) > 1 and not self.encoder.sees:
            raise EncoderError(
                f"{type(self.encoder).__name__} encodes texts, and {self.of!r} is a picture ({space}). Take an encoder that sees "
                "(PictureEncoder), or compare a text such as features.caption."
            )
        self.encoder.fingerprint()
        if not any(map(_said, (*_listed(self.goal), *_listed(self.baseline)))):
            _aim(self.encoder, self.encoder.fingerprint(), _listed(self.goal), _listed(self.baseline))

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the similarities; raises `ObservationError` if what is selected is neither a text nor a picture."""
        read = {
            text: said for text in (*_listed(self.goal), *_listed(self.baseline)) if (said := _said(text))
        }
        shown = _as_bytes(selector(self.of), obs, features)
        told = {text: _as_bytes(said, obs, features) for text, said in read.items()}
        print_ = self.encoder.fingerprint()

        def make(row: int) -> float:
            here = {text: text_of(rows[row]) for text, rows in told.items()}
            if not all(here.values()) or (shown.ndim == 2 and not text_of(shown[row])):
                return 0.0
            goal, baseline = (
                tuple(here.get(text, text) for text in _listed(texts)) for texts in (self.goal, self.baseline)
            )
            return similarity(self._code(shown[row]), *_aim(self.encoder, print_, goal, baseline), self.alpha)

        return _recalled(self, print_).of([shown, *told.values()], make)

    def _code(self, shown: np.ndarray) -> np.ndarray:
        if shown.ndim == 1:
            return _code(self.encoder, self.encoder.fingerprint(), text_of(shown))
        return self.encoder.picture(shown if shown.ndim == 3 else shown[:, :, None])


def similarity(x: np.ndarray, goal: np.ndarray, along: np.ndarray | None, alpha: float) -> float:
    """Return ``1 - |(x - g) P|^2 / 2``.

    Args:
        x: code of the state, (d,).
        goal: g, (d,).
        along: direction of g - b at length 1, (d,); None if there is no baseline.
        alpha: strength of the projection.

    Source: Rocamonde et al. 2024, definition 1 (goal-baseline regularisation).
    """
    gap = x - goal
    far = float(np.square(gap).sum())
    kept = 0.0 if along is None else float((gap * along).sum()) ** 2
    return 1.0 - (kept + (1.0 - alpha) ** 2 * (far - kept)) / 2.0


def text_of(row: np.ndarray) -> str:
    """Return the text of bytes, (n,) uint8, that are filled up with zeros."""
    return decode(row[None])[0].strip()[:LONGEST_TEXT]


def _listed(texts: Sentences | None) -> tuple[str, ...]:
    return () if texts is None else (texts,) if isinstance(texts, str) else texts


def _as_bytes(read: Selector, obs: Observation, features: Features) -> np.ndarray:
    """Bytes of texts, (B, n), or pictures, (B, rows, columns[, channels])."""
    values = np.asarray(read.values(obs, features))
    if values.dtype == np.uint8 and 2 <= values.ndim <= 4:
        return values
    if values.dtype.kind not in "USO" or values.ndim != 1:
        raise ObservationError(
            f"GoalSimilarity compares {_WHAT}, and {read.text!r} is {values.dtype} of shape {values.shape[1:]}."
        )
    texts = [_as_text(read, text) for text in values.tolist()]
    return encode(texts, longest(texts))


def _as_text(read: Selector, text: object) -> str:
    if isinstance(text, str):
        return text[:LONGEST_TEXT].encode(errors="replace").decode()
    if isinstance(text, bytes):
        return text[: 4 * LONGEST_TEXT].decode(errors="replace")[:LONGEST_TEXT]
    if text is None:
        return ""
    raise ObservationError(f"GoalSimilarity compares {_WHAT}, and {read.text!r} is {text!r:.60}.")


@lru_cache(maxsize=16)
def _recalled(similarity: GoalSimilarity, weights: str) -> Recall:
    del similarity, weights  # whose values they are
    return Recall()


@lru_cache(maxsize=4096)
def _code(encoder: Encoder, weights: str, text: str) -> np.ndarray:
    del weights  # part of the key only
    return encoder.text(text)


@lru_cache(maxsize=1024)
def _aim(
    encoder: Encoder, weights: str, goal: tuple[str, ...], baseline: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean code of the goal, and the direction to it from that of the baseline."""
    g, *rest = (
        np.mean([_code(encoder, weights, text.strip()[:LONGEST_TEXT]) for text in texts], axis=0)
        for texts in (goal, baseline)
        if texts
    )
    if not rest:
        return g, None
    d = g - rest[0]
    length = np.sqrt(np.square(d).sum())
    if length < SAME:
        raise ExpressionError(
            f"GoalSimilarity: to {type(encoder).__name__} the goal {goal} and the baseline {baseline} are the same, so there is no "
            "direction between them. Say them in other words, or leave the baseline out."
        )
    return g, d / length
