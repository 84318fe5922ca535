"""Scores: one function each, named in one dict. Higher is always more suspicious.

Another package adds one through an entry point of the group "oga.scores" (see `score`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError, unknown
from oga_core.gradient_sketch import STATES, GradientSketch
from oga_core.numerics import Floats, Values
from oga_core.scores import (
    confidence,
    dynamics,
    neighbour,
    oga,
    out_of_fold,
    outlier,
    valuation,
)
from oga_core.scores.influence import fairness, hessian, hessian_free, sketched
from oga_core.scores.language import given_prompt, plain
from oga_core.scores.regression import residuals
from oga_core.scores.score import CHECKPOINTS, GROUPS, VALIDATION, VALIDATION_CHECKPOINTS, Score, installed_scores

__all__ = [
    "CHECKPOINTS",
    "GROUPS",
    "SCORES",
    "VALIDATION",
    "VALIDATION_CHECKPOINTS",
    "Score",
    "compute_scores",
    "default_score",
    "require_known",
]

HEAD = ("delta", "features")
"""The gradient of the last layer, whatever the loss."""
CLASSES = ("logits", "features")
"""The last layer of a model whose samples have one class each."""
NUMBERS = ("targets", "outputs")
PROMPT_FREE = ("prompt_free_losses",)
"""Takes one more forward pass, so only for who asks for a score that needs it."""

SCORES: dict[str, Score] = {
    "oga": Score(oga.oga, "combined", uses=(VALIDATION, CHECKPOINTS)),
    "isolation_forest": Score(outlier.isolation_forest, "outlier", HEAD),
    "isolation_forest_paper": Score(outlier.isolation_forest_paper, "outlier", HEAD),
    "isolation_forest_per_class": Score(outlier.isolation_forest_per_class, "outlier", CLASSES),
    "isolation_forest_sketch": Score(outlier.isolation_forest_sketch, "outlier"),
    "isolation_forest_sketch_per_class": Score(outlier.isolation_forest_sketch_per_class, "outlier", ("logits",)),
    "l1_norm": Score(outlier.l1_norm, "outlier", HEAD),
    "l1_norm_per_class": Score(outlier.l1_norm_per_class, "outlier", CLASSES),
    "l1_norm_all": Score(outlier.l1_norm_all, "outlier", ("l1_norm_all",)),
    "l1_norm_sketch": Score(outlier.l1_norm_sketch, "outlier"),
    "l1_norm_sketch_per_class": Score(outlier.l1_norm_sketch_per_class, "outlier", ("logits",)),
    "l2_norm": Score(outlier.l2_norm, "outlier", HEAD),
    "l2_norm_per_class": Score(outlier.l2_norm_per_class, "outlier", CLASSES),
    "l2_norm_all": Score(outlier.l2_norm_all, "outlier", ("l2_norm_all",)),
    "l2_norm_sketch": Score(outlier.l2_norm_sketch, "outlier"),
    "l2_norm_sketch_per_class": Score(outlier.l2_norm_sketch_per_class, "outlier", ("logits",)),
    "ecod": Score(outlier.ecod, "outlier"),
    "knn_distance": Score(outlier.knn_distance, "outlier"),
    "mahalanobis": Score(outlier.mahalanobis, "outlier"),
    "loss": Score(confidence.loss, "confidence"),
    "margin": Score(confidence.margin, "confidence", ("logits",)),
    "adjusted_margin": Score(confidence.adjusted_margin, "confidence", ("logits",)),
    "view_margin": Score(confidence.view_margin, "confidence", ("logits", "view_logits")),
    "normalized_margin": Score(confidence.normalized_margin, "confidence", ("logits",)),
    "el2n": Score(confidence.el2n, "confidence", ("logits",)),
    "entropy": Score(confidence.entropy, "confidence", ("logits",)),
    "discriminant_margin": Score(confidence.discriminant_margin, "confidence", CLASSES),
    "out_of_fold": Score(out_of_fold.out_of_fold, "confidence", CLASSES),
    "confident_learning": Score(out_of_fold.confident_learning, "confidence", CLASSES),
    "feature_neighbours": Score(neighbour.feature_neighbours, "neighbour", CLASSES),
    "gradient_neighbours": Score(neighbour.gradient_neighbours, "neighbour", CLASSES),
}

SCORES |= {
    "absolute_residual": Score(residuals.absolute_residual, "confidence", NUMBERS),
    "loss_residual": Score(given_prompt.loss_residual, "confidence", STATES),
    "response_residual": Score(given_prompt.response_residual, "outlier", STATES),
    "gradient_residual": Score(given_prompt.gradient_residual, "outlier", STATES),
    "end_residual": Score(given_prompt.end_residual, "confidence", STATES),
    "new_token_residual": Score(given_prompt.new_token_residual, "outlier", STATES),
    "length_residual": Score(given_prompt.length_residual, "outlier", STATES),
    "end_loss": Score(plain.end_loss, "confidence", ("end_losses",)),
    "peak_loss": Score(plain.peak_loss, "confidence", ("peak_losses",)),
    "new_tokens": Score(plain.new_tokens, "outlier", ("new_token_shares",)),
    "l2_norm_by_length": Score(plain.l2_norm_by_length, "outlier", ("l2_norm_all", "response_lengths")),
    "instruction_difficulty": Score(plain.instruction_difficulty, "confidence", PROMPT_FREE),
    "prompt_free_loss": Score(plain.prompt_free_loss, "confidence", PROMPT_FREE),
}

_WITH_VALIDATION = (VALIDATION,)
_WITH_CHECKPOINTS = (CHECKPOINTS,)
_CLASSES_AND_VALIDATION = (*CLASSES, VALIDATION)

SCORES |= {
    "self_hessian": Score(hessian.self_hessian, "influence", CLASSES),
    "self_lissa": Score(hessian.self_lissa, "influence", CLASSES),
    "self_datainf": Score(hessian.self_datainf, "influence"),
    "self_arnoldi": Score(hessian.self_arnoldi, "influence", CLASSES),
    "self_ekfac": Score(hessian.self_ekfac, "influence", CLASSES),
    "self_trak": Score(sketched.self_trak, "influence"),
    "self_trak_undamped": Score(sketched.self_trak_undamped, "influence"),
    "self_logra": Score(sketched.self_logra, "influence"),
    "self_generalized_head": Score(hessian.self_generalized_head, "influence", CLASSES),
    "self_mirrored_head": Score(hessian_free.self_mirrored_head, "influence", CLASSES),
    "self_tracin_ensemble": Score(hessian_free.self_tracin_ensemble, "influence", CLASSES),
    "class_mean_cosine": Score(hessian_free.class_mean_cosine, "influence", ("logits",)),
    "hessian": Score(hessian.hessian, "influence", _CLASSES_AND_VALIDATION),
    "lissa": Score(hessian.lissa, "influence", _CLASSES_AND_VALIDATION),
    "datainf": Score(hessian.datainf, "influence", _WITH_VALIDATION),
    "arnoldi": Score(hessian.arnoldi, "influence", _CLASSES_AND_VALIDATION),
    "ekfac": Score(hessian.ekfac, "influence", _CLASSES_AND_VALIDATION),
    "trak": Score(sketched.trak, "influence", _WITH_VALIDATION),
    "trak_undamped": Score(sketched.trak_undamped, "influence", _WITH_VALIDATION),
    "logra": Score(sketched.logra, "influence", _WITH_VALIDATION),
    "generalized_neurons": Score(hessian.generalized_neurons, "influence", _CLASSES_AND_VALIDATION),
    "generalized_head": Score(hessian.generalized_head, "influence", _CLASSES_AND_VALIDATION),
    "tracin": Score(hessian_free.tracin, "influence", _WITH_VALIDATION),
    "tracin_sketch": Score(hessian_free.tracin_sketch, "influence", _WITH_VALIDATION),
    "tracin_ensemble": Score(hessian_free.tracin_ensemble, "influence", _CLASSES_AND_VALIDATION),
    "tracin_fairness": Score(fairness.tracin_fairness, "influence", _CLASSES_AND_VALIDATION, uses=(GROUPS,)),
    "tracin_opportunity_gap": Score(fairness.tracin_opportunity_gap, "influence", (*_CLASSES_AND_VALIDATION, GROUPS)),
    "tracin_parity_gap": Score(fairness.tracin_parity_gap, "influence", (*_CLASSES_AND_VALIDATION, GROUPS)),
    "tracin_robustness": Score(hessian_free.tracin_robustness, "influence", _CLASSES_AND_VALIDATION),
    "mirrored_head": Score(hessian_free.mirrored_head, "influence", _CLASSES_AND_VALIDATION),
    "self_tracin_cp": Score(hessian_free.self_tracin_cp, "influence", _WITH_CHECKPOINTS),
    "tracin_cp": Score(hessian_free.tracin_cp, "influence", (CHECKPOINTS, VALIDATION_CHECKPOINTS)),
    "aum": Score(dynamics.aum, "confidence", ("logits", CHECKPOINTS)),
    "mean_loss": Score(dynamics.mean_loss, "confidence", _WITH_CHECKPOINTS),
    "mean_error": Score(dynamics.mean_error, "confidence", _WITH_CHECKPOINTS),
    "variability": Score(dynamics.variability, "confidence", _WITH_CHECKPOINTS),
    "forgetting": Score(dynamics.forgetting, "confidence", ("logits", CHECKPOINTS)),
    "leave_one_out": Score(valuation.leave_one_out, "retraining", _CLASSES_AND_VALIDATION, by_default=False),
    "self_leave_one_out": Score(valuation.self_leave_one_out, "retraining", CLASSES, by_default=False),
    "data_shapley": Score(valuation.data_shapley, "retraining", _CLASSES_AND_VALIDATION, by_default=False),
    "knn_shapley": Score(valuation.knn_shapley, "retraining", _CLASSES_AND_VALIDATION),
    "self_knn_shapley": Score(valuation.self_knn_shapley, "retraining", CLASSES, by_default=False),
}

_INSTALLED, _REFUSED = installed_scores(SCORES)
SCORES |= _INSTALLED

PREFERRED = ("oga", "isolation_forest", "isolation_forest_sketch", "loss")


def compute_scores(
    sketch: GradientSketch,
    names: Iterable[str] | None = None,
    *,
    seed: int = 0,
    validation: GradientSketch | None = None,
    checkpoints: Sequence[GradientSketch] = (),
    validation_checkpoints: Sequence[GradientSketch] = (),
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    progress: Callable[[str, int, int], object] = lambda name, done, total: None,
    keep: Callable[[str, Values], Values] = lambda name, values: values,
) -> tuple[dict[str, Values], dict[str, float]]:
    """Compute the named scores, or every score whose needs are met; return them and the seconds that each took.

    groups: of every validation sample, for what compares groups. progress: called before each score with its name, how
    many are done and how many there are. Scores are `(n_samples,)` and finite. Raises `OgaError` for a name that is not
    known and for a named score whose needs are not met.
    """
    names = tuple(names or ())
    require_known(names)
    more = {
        VALIDATION: validation,
        CHECKPOINTS: checkpoints or None,
        VALIDATION_CHECKPOINTS: validation_checkpoints or None,
        GROUPS: groups,
    }
    missing = {name: _missing(score, sketch, more) for name, score in SCORES.items()}
    for name in names:
        if missing[name]:
            needs = " and ".join(need.replace("_", " ") for need in missing[name])
            raise OgaError(f"The score {name!r} needs {needs}. {_advice(missing[name])}")
    scores: dict[str, Values] = {}
    seconds: dict[str, float] = {}
    wanted = names or [name for name, score in SCORES.items() if score.by_default and not missing[name]]
    for done, name in enumerate(wanted):
        progress(name, done, len(wanted))
        start = time.perf_counter()
        try:
            scores[name] = keep(name, _computed(name, sketch, more, seed))
        except OgaError:
            if name in names:
                raise
            continue
        finally:
            sketch.let_go()
        seconds[name] = round(time.perf_counter() - start, 3)
    return scores, seconds


def _computed(name: str, sketch: GradientSketch, more: dict[str, Any], seed: int) -> Values:
    """The score's values, or `OgaError` where there are none; whatever fails, for a score of another package."""
    score = SCORES[name]
    options = {need: more[need] for need in (*score.needs, *score.uses) if more.get(need) is not None}
    failures = (Exception,) if name in _INSTALLED else (np.linalg.LinAlgError, FloatingPointError)
    try:
        values = _finite(score.function(sketch, seed=seed, **options))
    except OgaError:
        raise
    except failures as error:
        raise OgaError(f"The score {name!r} cannot be computed here: {error}. Leave it out of --scores.") from error
    if values.shape != (len(sketch),):
        raise OgaError(f"The score {name!r} has the shape {values.shape}, not one value for each of {len(sketch):,}.")
    return values


def require_known(names: Iterable[str]) -> None:
    """Raise `OgaError` for the first name that is not a score's."""
    for name in names:
        if name in _REFUSED:
            raise OgaError(f"The score {name!r} is not available. {_REFUSED[name]}. Mend or remove that package.")
        if name not in SCORES:
            raise unknown("score", name, SCORES)


def default_score(names: Sequence[str]) -> str:
    """The one of `names` that a run is sorted by at first."""
    return next((name for name in PREFERRED if name in names), names[0])


def _missing(score: Score, sketch: GradientSketch, more: dict[str, Any]) -> list[str]:
    return [need for need in score.needs if (more[need] if need in more else getattr(sketch, need, None)) is None]


def _advice(needs: list[str]) -> str:
    if VALIDATION in needs or VALIDATION_CHECKPOINTS in needs:
        return "Give clean samples with --validation DATA."
    if CHECKPOINTS in needs:
        return "Give weights saved during training with --checkpoints FILE,FILE."
    if GROUPS in needs:
        return "Give the group of every validation sample with groups=… in Python."
    return "This model and data do not offer them; choose another score."


def _finite(values: Floats) -> Values:
    """Put what overflowed or is undefined at the suspicious end, where a person will look at it."""
    exact: Values = np.asarray(values, dtype=np.float64)
    is_finite = np.isfinite(exact)
    if is_finite.all():
        return exact
    finite = exact[is_finite]
    highest, lowest = (float(finite.max()), float(finite.min())) if len(finite) else (0.0, 0.0)
    return np.nan_to_num(exact, nan=highest, posinf=highest, neginf=lowest)
