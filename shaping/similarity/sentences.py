"""Texts by a language model for sentences: near codes for near meanings."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from typing_extensions import override

from shapegym.shaping.errors import EncoderError, said_as
from shapegym.shaping.limited_archives import LARGEST_EXPANSION, open_archive
from shapegym.shaping.limited_files import parse_json, read_bytes
from shapegym.shaping.similarity.encoder import Encoder, unit

_LARGEST = 8 * LARGEST_EXPANSION
_GET = 'Install them: pip install "shapegym[sentences]"'


@dataclass(frozen=True)
class SentenceEncoder(Encoder):
    """Codes of a transformer that was trained to tell which sentences mean the same: the mean of what it makes of their tokens.

    By default all-MiniLM-L6-v2, 384 numbers, whose weights are a package of their own. What is longer than the model reads (256
    tokens there) is left out. Source: Reimers & Gurevych 2019, "Sentence-BERT"; Wang et al. 2020, "MiniLM".

    Args:
        weights: a package that holds a ``model.zip``, or a folder, both as the library sentence-transformers writes them.
    """

    weights: str = "all_minilm_l6_v2"

    @override
    def fingerprint(self) -> str:
        return _loaded(self.weights).digest

    @override
    def text(self, text: str) -> np.ndarray:
        return unit(_loaded(self.weights).code(text))


class _Model(NamedTuple):
    digest: str
    code: Callable[[str], np.ndarray]


@lru_cache(maxsize=4)
def _loaded(weights: str) -> _Model:
    """Read a model, once a process; nothing is unpacked, downloaded or run."""
    with said_as(EncoderError, ImportError, f"SentenceEncoder({weights!r}) needs libraries: ", f". {_GET}."):
        import safetensors.torch
        import tokenizers
        import torch
        import transformers
    read = _reader(weights)
    with said_as(
        EncoderError, Exception, f"SentenceEncoder({weights!r}): what it holds is no sentence encoder (", ")."
    ):
        config = _json(read, "config.json")
        pooling = _pooling(_json(read, "1_Pooling/config.json"))
        longest = int(_json(read, "sentence_bert_config.json")["max_seq_length"])
        tokens = tokenizers.Tokenizer.from_str(read("tokenizer.json").decode())
        tokens.no_padding()
        tokens.enable_truncation(longest)
        content = read("model.safetensors")
        settings = transformers.AutoConfig.for_model(**config)
        model = transformers.AutoModel.from_config(settings, attn_implementation="eager").float().eval()
        missing = model.load_state_dict(safetensors.torch.load(content), strict=False).missing_keys
        if lacking := [name for name in missing if not name.startswith("pooler.")]:
            raise ValueError(f"its weights lack {lacking[0]}")

    def code(text: str) -> np.ndarray:
        ids = torch.tensor([tokens.encode(text).ids])
        with torch.no_grad():
            states: Any = model(input_ids=ids).last_hidden_state[0]
        return np.asarray(states.mean(dim=0) if pooling == "mean" else states[0], dtype=np.float64)

    return _Model(sha256(content).hexdigest(), code)


def _reader(weights: str) -> Callable[[str], bytes]:
    """What reads a file of the model, out of a folder or the archive of a package."""
    if (folder := Path(weights)).is_dir():
        return lambda name: read_bytes(folder / name, EncoderError, "file of weights", limit=_LARGEST)
    spec = importlib.util.find_spec(weights) if weights.isidentifier() else None
    if spec is None or spec.origin is None:
        raise EncoderError(
            f"SentenceEncoder: there are no weights {weights!r}, neither an installed package nor a folder. {_GET}, or name a "
            "folder that sentence-transformers wrote. (WordHash() needs no weights.)"
        )
    archive = Path(spec.origin).with_name("model.zip")

    def read(name: str) -> bytes:
        with open_archive(archive, EncoderError, "archive of weights") as entries:
            return entries.read(name, _LARGEST)

    return read


def _json(read: Callable[[str], bytes], name: str) -> dict[str, Any]:
    data = parse_json(read(name), EncoderError, name)
    if not isinstance(data, dict):
        raise ValueError(f"{name} holds no object")
    return data


def _pooling(said: dict[str, Any]) -> Literal["mean", "cls"]:
    if said.get("pooling_mode_mean_tokens"):
        return "mean"
    if said.get("pooling_mode_cls_token"):
        return "cls"
    raise ValueError("it pools neither by the mean nor by the first token")
