"""What trying the suggested trim says, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from oga_core.numerics import span


@dataclass(frozen=True)
class TrimTrial:
    """Accuracy after trimming minus that after a random trim of the same size, with a 90 % interval, -1 to 1."""

    gain: float
    gain_low: float
    gain_high: float

    @property
    def helps(self) -> bool:
        """Whether trimming is better by more than chance."""
        return self.gain_low > 0

    @property
    def harms(self) -> bool:
        """Whether trimming is worse by more than chance."""
        return self.gain_high < 0

    def as_json(self) -> dict[str, float]:
        """The three numbers by name."""
        return asdict(self)

    def sentence(self, trim_fraction: float) -> str:
        """What it says of a suggested share, empty where trimming helps."""
        if self.helps:
            return ""
        share = f"{100 * trim_fraction:.1f}\u00a0%"
        ends = span(100 * self.gain_low, 100 * self.gain_high, "{:+.1f}".format)
        is_nothing = max(abs(self.gain_low), abs(self.gain_high)) < _SHOWN
        points = "no difference in accuracy" if is_nothing else f"{100 * self.gain:+.1f} points of accuracy, {ends}"
        tried = (
            f"Heads trained on the model's features without the {share} that would be trimmed are "
            f"{'worse' if self.harms else 'not clearly better'} than without as many samples at random "
            f"({points})."
        )
        return f"{tried} {_INSTEAD if self.harms else _LOOK}"


_SHOWN = 0.0005
"""Below it a gain reads +0.0 points."""
_INSTEAD = "So no share is suggested to trim. Review the most suspicious samples instead."
_LOOK = "Trimming may not help here: look at the samples, and compare trainings of the whole model, before you trim."
