"""Tokenizers give back the text they were given, and the tokens that other implementations give."""

from __future__ import annotations

import gzip
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.errors import UserError
from netwright.models.tokenizers import ByteLevel, ScoreMerge, Tokenizer, load
from netwright.models.tokenizers.byte_level import spelled_bytes
from netwright.models.tokenizers.merging import merge
from netwright.models.tokenizers.read import score_merge

PIECES = (
    "'s", "'LL", " ", "  ", "\n", "\r\n", "\t", "a", "B", "é", "1", "23", "½", "²", "中", "Ⅷ", "_", "-", "...", "\u00a0",
    "\u3000", "\u0301", "😀", "ß", "١", "x", " word", "\x1c", "<|endoftext|>",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40)


@pytest.fixture(scope="module")
def gpt2(shared_data: Path) -> Tokenizer:
    return load(shared_data / "gpt2-tokenizer")


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Tokenizer:
    return load(shared_data / "stories260k" / "tok512.bin")


@pytest.fixture(scope="module")
def learned(shared_data: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    folder = shared_data / "gpt2-tokenizer"
    vocabulary = json.loads(gzip.decompress((folder / "vocab.json.gz").read_bytes()))
    lines = gzip.decompress((folder / "merges.txt.gz").read_bytes()).decode().split("\n")[1:]
    return vocabulary, [(line.split(" ")[0], line.split(" ")[1]) for line in lines if line]


@given(text=TEXTS)
@settings(deadline=None, max_examples=300)
def test_text_comes_back_from_byte_level_tokens(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.decode(gpt2.encode(text)) == text


@given(text=TEXTS)
@settings(deadline=None, max_examples=300)
def test_text_comes_back_from_scored_tokens(stories: Tokenizer, text: str) -> None:
    assert stories.decode(stories.encode(text, begin=True)) == text


def peer(words: str, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """The same tokenizer by Hugging Face's library."""
    theirs = pytest.importorskip("tokenizers")
    pre, plain = theirs.pre_tokenizers, {"add_prefix_space": False}
    llama3 = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    )
    made = theirs.Tokenizer(theirs.models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = {
        "gpt2": lambda: pre.ByteLevel(**plain),
        "smollm": lambda: pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(**plain)]),
        "llama3": lambda: pre.Sequence(
            [pre.Split(theirs.Regex(llama3), "isolated"), pre.ByteLevel(use_regex=False, **plain)]
        ),
    }[words]()
    made.decoder = theirs.decoders.ByteLevel()
    return made


@pytest.mark.parametrize("words", ["gpt2", "smollm", "llama3"])
def test_byte_level_tokens_are_those_of_hugging_face(
    learned: tuple[dict[str, int], list[tuple[str, str]]], shared_data: Path, words: str, tmp_path: Path
) -> None:
    theirs = peer(words, *learned)
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = load(path)

    @given(text=TEXTS)
    @settings(deadline=None, max_examples=300)
    def agree(text: str) -> None:
        assert ours.encode(text) == theirs.encode(text).ids

    agree()
    text = gzip.decompress((shared_data / "wikitext2-eval" / "test.txt.gz").read_bytes()).decode()[:50_000]
    assert ours.encode(text) == theirs.encode(text).ids


def test_vocabulary_and_merges_give_the_known_tokens(gpt2: Tokenizer) -> None:
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode("a<|endoftext|>", special=True)[-1] == 50256
    assert 50256 not in gpt2.encode("a<|endoftext|>")
    assert gpt2.decode([15496, 50256, 995]) == "Hello world"


def test_encoding_is_fast(gpt2: Tokenizer, shared_data: Path) -> None:
    """Far below what a quiet machine does (700,000 tokens a second), so that a loaded one passes."""
    text = gzip.decompress((shared_data / "wikitext2-eval" / "test.txt.gz").read_bytes()).decode()
    start = time.process_time()
    count = len(gpt2.encode(text))
    assert count / (time.process_time() - start) > 100_000


def test_a_character_over_several_tokens_waits_for_its_last_byte(gpt2: Tokenizer) -> None:
    tokens = gpt2.encode("a 𓂀!")
    stream = gpt2.stream()
    parts = [stream.push(token) for token in tokens]
    assert len(tokens) > 5 and "" in parts
    assert "".join(parts) == "a 𓂀!" and not any("\ufffd" in part for part in parts)
    broken = gpt2.stream()
    said = [broken.push(token) for token in tokens[:-2]]
    assert broken.finish() == "\ufffd" and "\ufffd" not in "".join(said)


def test_unknown_numbers_are_refused(gpt2: Tokenizer) -> None:
    for token in (-1, len(gpt2)):
        with pytest.raises(ValueError, match="is not one of 50257"):
            gpt2.decode([token])


@given(
    parts=st.lists(st.integers(0, 3), min_size=1, max_size=24),
    merges=st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.integers(4, 9), max_size=12),
)
@settings(deadline=None, max_examples=500)
def test_merging_with_a_heap_is_merging_the_best_pair_again_and_again(
    parts: list[int], merges: dict[tuple[int, int], int]
) -> None:
    ranked = {pair: (rank, made) for rank, (pair, made) in enumerate(merges.items())}
    plain = list(parts)
    while True:
        found = [(ranked[p][0], i) for i, p in enumerate(pairwise(plain)) if p in ranked]
        if not found or len(plain) == 1:
            break
        _, i = min(found)
        plain[i : i + 2] = [ranked[plain[i], plain[i + 1]][1]]
    assert merge(parts, ranked) == plain


def test_long_words_are_merged_like_short_ones() -> None:
    alphabet = sorted(spelled_bytes(), key=lambda c: spelled_bytes()[c])
    ours = ByteLevel([*alphabet, "ab", "aba", "abab"], [("a", "b"), ("ab", "a"), ("ab", "ab")])
    short, long = ours.encode("ab" * 20), ours.encode("ab" * 200)
    assert short == [258] * 10 and long == [258] * 100


def test_scores_decide_and_bytes_catch_the_rest() -> None:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581", "a", "b", "ab", "ba", "\u2581a"]
    scores = [0.0] * 262 + [-1.0, -2.0, -3.0]
    ours = score_merge(tokens, scores, (0, 1, 2), begin=1, end=(2,))
    assert isinstance(ours, ScoreMerge)
    assert [tokens[t] for t in ours.encode("aba", begin=True)] == ["<s>", "\u2581", "ab", "a"]
    assert [tokens[t] for t in ours.encode("é")] == ["\u2581", "<0xC3>", "<0xA9>"]
    assert ours.decode(ours.encode(" a é")) == " a é"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", b"{", "not JSON"),
        ("tokenizer.json", b"[" * 100_000, "not JSON"),
        ("tokenizer.json", b"[]", "only byte-pair encodings"),
        ("tokenizer.json", b'{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": []}}', "numbered from 0"),
        ("tokenizer.json", b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}', "not known here"),
        ("tokenizer.json", b'{"model": {"type": "BPE", "vocab": 3, "merges": []}}', "map tokens to numbers"),
        ("vocab.json", b"{}", "no merges.txt"),
        ("vocab.json.gz", b"\x1f\x8bnot", "no merges.txt"),
        ("tokenizer.bin", b"\x01", "ends within"),
        ("tokenizer.bin", b"\x01\0\0\0" + b"\0\0\0\0\xff\xff\xff\x7f", "ends within token 0"),
        ("tokenizer.bin", b"\x01\0\0\0" + b"\0\0\0\0\xff\xff\xff\xff", "ends within token 0"),
        ("tokenizer.bin", b"\x01\0\0\0", "too few"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
