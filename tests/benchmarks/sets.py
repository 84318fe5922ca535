"""Data sets with known wrong labels for the detection benchmark: made, tabular, photographs and sentences.

Each set is a function of a seed that returns samples under one trained model, as the gradient pass leaves them.
"""

from __future__ import annotations

from made_sets import Made, gaussians, moons, table
from shared_sets import OneSidedSentences, Photographs, Sentences

Build = Made | Photographs | Sentences | OneSidedSentences

SETS: dict[str, Build] = {
    "gaussians": Made(gaussians, 10 / 150, seeds=100),
    "moons": Made(moons, 25 / 250, hidden=16, epochs=100),
    "gaussians_30": Made(gaussians, 0.3, seeds=100),
    "moons_30": Made(moons, 0.3, hidden=16, epochs=100),
    "breast_cancer": Made(table("breast_cancer"), 0.2, hidden=32, epochs=20),
    "wine": Made(table("wine"), 0.2, hidden=32, epochs=20),
    "digits": Made(table("digits"), 0.2, hidden=64, epochs=10, seeds=5),
    "digits_pair": Made(table("digits"), 0.3, noise="pair", hidden=64, epochs=10, seeds=5),
    "breast_cancer_one_sided": Made(table("breast_cancer"), 0.35, noise="one_sided", hidden=32, epochs=20),
    "aggre": Photographs("aggre"),
    "worse": Photographs("worse"),
    "memorised_aggre": Photographs("aggre", memorised=True),
    "memorised_worse": Photographs("worse", memorised=True),
    "sentences": Sentences(),
    "sentences_one_sided": OneSidedSentences(),
}
SMALL = tuple(name for name, build in SETS.items() if isinstance(build, Made))
GROUPS = {
    "small": SMALL,
    "photographs": ("aggre", "worse"),
    "memorised": ("memorised_aggre", "memorised_worse"),
    "text": ("sentences", "sentences_one_sided"),
    "all": tuple(SETS),
}
