"""What a person sees of one sample: the one shape that the review queue, the grid and the map's hover card share.

    SampleView("cat/0017.png", image=thumbnail_uri, given="cat", predicted="dog",
               probabilities=(("dog", 0.91), ("cat", 0.06)), why="Looks like dog; its nearest samples are dogs.")
    SampleView("42", text="…", weights=((0, 5, 0.9), (6, 11, -0.2)), given="positive")
    SampleView("7", fields=(("age", "41"), ("job", "nurse")), given="yes")
    SampleView("3", messages=(("user", "…"), ("assistant", "…")), heat=((1, 0, 4, 2.3),), heat_note="…")

All strings are shown as plain text by the browser side; nothing is read as HTML or Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oga_core.errors import OgaError
from oga_core.runs.columns import Placed

MAX_TEXT = 20_000  # characters: what a person reads of one sample, and what twenty samples ahead may cost


@dataclass(frozen=True)
class SampleView:
    """One sample to show.

    image, overlay: `data:image/…` addresses; the overlay (a saliency map) is laid over the image when asked for.
    layers: (name, address) of what may lie over the image one at a time, as its mask; legend: (class, colour) in them.
    pixelated: a tile enlarges it without smoothing (small images).
    text, text_pair: plain text; weights, pair_weights: (start, end, weight in -1 … 1) of the parts of each to shade;
    weights_note: what they add up to.
    fields: (name, value) of a table row. messages: (role, content) of a chat.
    heat: (message, start, end, loss) of the tokens of messages to shade; heat_note: what else is to be said of them.
    values: numbers of a row beside those of its class. probabilities: (class, probability), most likely first.
    wrong: the probability that the given label is wrong. percentile: 0 … 100, 100 = most suspicious.
    finding: the kind of finding; why: one plain sentence. position: text such as "12 of 240".
    pair: (name, text) of the two answers of a preference pair.
    responses: (place, text) of what may be edited in a language model's row; edit: (place, text) as it stands.
    scale: of a number where it lies among all: low, high, bars (0 to 1), given, suggested, words (both as text).
    tags: of a sentence whose words have tags: words, given (one tag a word) and doubts, (place, likeliest other tag,
    probability that the given one is wrong) of the words whose tags look wrong, the worst first.
    decision: what stands ("keep", "relabel", "remove", "unsure", "edit", "swap").
    """

    id: str
    image: str | None = None
    overlay: str | None = None
    layers: tuple[tuple[str, str], ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    pixelated: bool = False
    text: str | None = None
    text_pair: str | None = None
    weights: tuple[tuple[int, int, float], ...] = ()
    pair_weights: tuple[tuple[int, int, float], ...] = ()
    weights_note: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    pair: tuple[tuple[str, str], ...] = ()
    responses: tuple[tuple[str, str], ...] = ()
    edit: tuple[tuple[str, str], ...] = ()
    heat: tuple[tuple[int, int, int, float], ...] = ()
    heat_note: str = ""
    scale: Mapping[str, Any] | None = None
    tags: Mapping[str, Any] | None = None
    given: str | None = None
    predicted: str | None = None
    probabilities: tuple[tuple[str, float], ...] = ()
    values: tuple[Placed, ...] = ()
    wrong: float | None = None
    percentile: float | None = None
    flagged: bool = False
    finding: str = ""
    why: str = ""
    decision: str | None = None
    new_label: str | None = None
    note: str = ""
    position: str = ""
    unreadable: str = ""

    def __post_init__(self) -> None:
        for address in (self.image, self.overlay, *(address for _, address in self.layers)):
            if address and not address.startswith("data:image/"):
                raise OgaError(f"The preview of {self.id!r} is {address[:40]!r}. Give a data:image/… address.")

    def data(self) -> dict[str, Any]:
        """Return what is sent to the browser: only fields that say something, long texts cut."""
        content = {name: value for name, value in vars(self).items() if value not in (None, "", (), False)}
        if self.values:
            content["values"] = [vars(value) for value in self.values]
        for name in ("text", "text_pair"):
            if name in content and len(content[name]) > MAX_TEXT:
                content[name] = content[name][:MAX_TEXT]
                content["cut"] = True
        return content
