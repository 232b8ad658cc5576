"""Encoders: unit codes, the same in every process, and what is said where weights are missing or damaged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.errors import EncoderError
from shapegym.shaping.similarity import sentences
from shapegym.shaping.similarity.sentences import SentenceEncoder
from shapegym.shaping.similarity.words import WordHash, words_of


@given(st.text(min_size=1), st.integers(1, 300))
def test_a_bag_of_words_is_a_unit_vector(text: str, width: int) -> None:
    code = WordHash(width).text(text)
    assert code.shape == (width,)
    assert np.linalg.norm(code) == pytest.approx(1.0)


def test_texts_are_near_that_share_words() -> None:
    encoder = WordHash(1024)
    key, same, other = map(
        encoder.text, ("you pick up the yellow key", "KEY! the yellow; you pick up", "a lava")
    )
    assert key @ same == pytest.approx(1.0)
    assert abs(key @ other) < 0.3
    assert crc32(np.sign(key).astype(np.int8).tobytes()) == 1021915038  # in every process
    assert words_of("?!") == ["?!"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small transformer of random weights, as sentence-transformers writes one."""
    why = "SentenceEncoder needs the extra 'sentences'"
    safetensors = pytest.importorskip("safetensors.torch", reason=why)
    transformers = pytest.importorskip("transformers", reason=why)
    tokenizers = pytest.importorskip("tokenizers", reason=why)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *["you", "open", "the", "door", "a", "b", "c"]]
    tokens = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokens.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    size = {
        "vocab_size": len(words),
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "max_position_embeddings": 16,
    }
    config = transformers.BertConfig(**size)
    model = transformers.BertModel(config)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **size}))
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    (tmp_path / "tokenizer.json").write_text(tokens.to_str())
    safetensors.save_file(model.state_dict(), tmp_path / "model.safetensors")
    sentences._loaded.cache_clear()
    return tmp_path


def test_a_transformer_is_read_from_a_folder(folder: Path) -> None:
    encoder = SentenceEncoder(str(folder))
    code = encoder.text("you open the door")
    assert code.shape == (8,)
    assert np.linalg.norm(code) == pytest.approx(1.0)
    assert np.array_equal(code, encoder.text("you open the door"))
    assert np.isfinite(encoder.text("a b c " * 500)).all()
    assert len(encoder.fingerprint()) == 64


def test_damaged_weights_are_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="what it holds is no sentence encoder"):
        SentenceEncoder(str(folder)).text("a")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(EncoderError, match="neither by the mean nor by the first token"):
        SentenceEncoder(str(folder)).text("a")
    (folder / "tokenizer.json").unlink()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(EncoderError, match=r"tokenizer.json cannot be read"):
        SentenceEncoder(str(folder)).text("a")


def test_weights_that_are_not_there(folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"no weights 'no_such_weights'.*shapegym\[sentences\].*WordHash"):
        SentenceEncoder("no_such_weights").text("a")


def test_without_the_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    sentences._loaded.cache_clear()
    with pytest.raises(EncoderError, match=r"needs libraries: .*pip install \"shapegym\[sentences\]\""):
        SentenceEncoder().fingerprint()


def test_the_real_model_knows_its_published_neighbours() -> None:
    why = "the weights of all-MiniLM-L6-v2 are in the extra 'sentences'"
    pytest.importorskip("transformers", reason=why)
    if sentences.importlib.util.find_spec("all_minilm_l6_v2") is None:
        pytest.skip(why)
    sentences._loaded.cache_clear()
    encoder = SentenceEncoder()
    person = encoder.text("That is a happy person")
    others = ("That is a happy dog", "That is a very happy person", "Today is a sunny day")
    assert [person @ encoder.text(other) for other in others] == pytest.approx(
        [0.695, 0.943, 0.257], abs=5e-4
    )
