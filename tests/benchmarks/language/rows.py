"""Rows for the language benchmark: the shared fine-tuning sets and one of diverse prompts, with bad responses planted.

A response goes bad in one of four ways: `swapped` with another row's, `wrong` (its numbers replaced, or another
transformation of the same sentence), `cut` short, or `gibberish`; `mixed` takes them in turn.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "llm"
KINDS = ("swapped", "wrong", "cut", "gibberish")
TEMPLATES, ROWS_PER_TEMPLATE = 225, 4


@dataclass(frozen=True)
class Row:
    """One row. others: right answers to other questions about the same input, where any are known."""

    prompt: str
    completion: str
    group: str
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Prompt and completion as one text."""
        return self.prompt + self.completion


def grammars() -> list[Row]:
    """Sentences transformed in ten ways."""
    rows = _shared("grammars")
    answers: dict[str, set[str]] = {}
    for row in rows:
        answers.setdefault(_sentence(row), set()).add(row.completion)
    return [replace(row, others=tuple(sorted(answers[_sentence(row)] - {row.completion}))) for row in rows]


def reasons() -> list[Row]:
    """Word problems of ten kinds, with the way to the number."""
    return _shared("math_with_reason")


def numbers() -> list[Row]:
    """The same word problems, answered with the number alone."""
    return [replace(row, completion=row.completion.split()[-1]) for row in reasons()]


def diverse() -> list[Row]:
    """Sentences changed as one of 225 templates asks, four rows a template; made from the sentences of `grammars`."""
    rng = np.random.default_rng(0)
    sentences = sorted({_sentence(row) for row in _shared("grammars")})
    templates = [each for name in OPERATIONS for each in product([name], LEADS, PHRASES[name], ENDS)]
    rows = []
    for position in rng.choice(len(templates), TEMPLATES, replace=False):
        name, lead, phrase, end = templates[position]
        for sentence in rng.choice(sentences, ROWS_PER_TEMPLATE, replace=False):
            answers = {each: operation(str(sentence)) for each, operation in OPERATIONS.items()}
            others = tuple(sorted({*answers.values()} - {answers[name]}))
            rows.append(Row(f"{lead} {phrase}{end.format(sentence)}", answers[name], name, others))
    return rows


SETS: dict[str, Callable[[], list[Row]]] = {
    "grammars": grammars,
    "reasons": reasons,
    "numbers": numbers,
    "diverse": diverse,
}

OPERATIONS: dict[str, Callable[[str], str]] = {
    "reverse": lambda text: " ".join(text.split()[::-1]),
    "capitals": str.upper,
    "small": str.lower,
    "first": lambda text: text.split()[0],
    "last": lambda text: text.split()[-1],
    "count": lambda text: f"There are {len(text.split())} words.",
    "sort": lambda text: " ".join(sorted(text.lower().split())),
    "vowels": lambda text: re.sub("[aeiou]", "", text),
    "twice": lambda text: " ".join(f"{word} {word}" for word in text.split()),
    "longest": lambda text: max(text.split(), key=len),
    "hyphens": lambda text: "-".join(text.split()),
    "stars": lambda text: re.sub("[aeiou]", "*", text),
    "initials": lambda text: " ".join(word[0] for word in text.split()),
    "ones": lambda text: " 1 ".join(text.split()),
    "quote": lambda text: f"'{text}'",
}
PHRASES: dict[str, tuple[str, str]] = {
    "reverse": ("reverse the order of the words", "write the words backwards, last word first"),
    "capitals": ("write everything in capitals", "use upper case letters only"),
    "small": ("write everything in small letters", "use lower case letters only"),
    "first": ("name the first word", "give only the word it begins with"),
    "last": ("name the last word", "give only the word it ends with"),
    "count": ("count the words", "say how many words there are"),
    "sort": ("sort the words", "put the words into alphabetical order"),
    "vowels": ("remove the vowels", "leave out a, e, i, o and u"),
    "twice": ("repeat each word", "say every word twice"),
    "longest": ("find the longest word", "pick the word with the most letters"),
    "hyphens": ("join the words by hyphens", "put hyphens in place of spaces"),
    "stars": ("replace the vowels by stars", "hide each vowel behind an asterisk"),
    "initials": ("give the initials", "keep only the first letter of each word"),
    "ones": ("put the number 1 between the words", "separate the words by ones"),
    "quote": ("put it into quotation marks", "quote it word for word"),
}
LEADS = ("Please", "Could you", "Your task:", "Now", "I want you to", "Kindly", "Here you should")
ENDS = (": {}\n", "\nInput: {}\nOutput: ", " of the sentence '{}' -> ", ". Sentence: {}. Answer: ")


def planted(rows: list[Row], kind: str, share: float, seed: int) -> tuple[list[Row], np.ndarray]:
    """The rows with a share of their responses gone bad, and which, `(n_rows,)` bool."""
    rng = np.random.default_rng([seed, 7])
    bad = np.zeros(len(rows), dtype=bool)
    noisy = list(rows)
    chosen = rng.choice(len(rows), round(share * len(rows)), replace=False)
    for number, position in enumerate(chosen):
        way = KINDS[number % len(KINDS)] if kind == "mixed" else kind
        noisy[position] = replace(rows[position], completion=WAYS[way](rows, int(position), rng))
        bad[position] = noisy[position].completion != rows[position].completion
    return noisy, bad


def _swapped(rows: list[Row], position: int, rng: np.random.Generator) -> str:
    others = [row.completion for row in rows if row.completion != rows[position].completion]
    return str(rng.choice(others))


def _wrong(rows: list[Row], position: int, rng: np.random.Generator) -> str:
    """Another transformation of the same input; where there is none, other numbers of the same lengths."""
    row = rows[position]
    if row.others:
        return str(rng.choice(row.others))

    def other(match: re.Match[str]) -> str:
        digits = len(match[0])
        low = 10 ** (digits - 1) if digits > 1 else 0
        return str((int(match[0]) - low + rng.integers(1, 10**digits - low)) % (10**digits - low) + low)

    return re.sub(r"\d+", other, row.completion)


def _cut(rows: list[Row], position: int, rng: np.random.Generator) -> str:
    """The first half of the words, of a single word the first half of its letters."""
    text = rows[position].completion
    words = text.split()
    return " ".join(words[: len(words) // 2]) if len(words) > 1 else text[: max(1, len(text) // 2)]


def _gibberish(rows: list[Row], position: int, rng: np.random.Generator) -> str:
    """As many words of random letters."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = rows[position].completion.split()
    return " ".join("".join(rng.choice(letters, rng.integers(2, 9))) for _ in words)


WAYS = {"swapped": _swapped, "wrong": _wrong, "cut": _cut, "gibberish": _gibberish}


def _shared(name: str) -> list[Row]:
    lines = (DATA / f"{name}_train.jsonl").read_text(encoding="utf-8").splitlines()
    return [Row(row["prompt"], row["completion"], row["group"]) for row in map(json.loads, lines)]


def _sentence(row: Row) -> str:
    return row.prompt.rpartition("\n")[2].strip().removesuffix("->").strip()
