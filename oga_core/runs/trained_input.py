"""What run.json says of the rows of a language model as the trainer saw them."""

from __future__ import annotations

from dataclasses import dataclass, field

_WORDS = {
    None: "completions, turns of the assistant and plain texts",
    "assistant": "every turn of the assistant",
    "last": "the assistant's last turn",
    "completion": "the completion",
    "all": "every token",
}


@dataclass(frozen=True)
class TrainedInput:
    """What of the rows a language model is trained on, as a trainer counts it.

    trained_on: assistant, last, completion or all; None where it is not the same in all rows. max_length: tokens that
    are seen of a row. tokens, trained_tokens: seen of all rows, and of these trained on. cut_rows, cut_tokens,
    cut_trained_tokens: what is beyond max_length. untrained_rows: dropped, because nothing of them is trained on.
    unreadable_rows: those that could not be written as tokens. remarks: fields and words of the rows that are not used
    as they are, with the number of rows.
    """

    trained_on: str | None = None
    max_length: int = 0
    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    cut_rows: int = 0
    cut_tokens: int = 0
    cut_trained_tokens: int = 0
    untrained_rows: int = 0
    unreadable_rows: int = 0
    remarks: dict[str, int] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Return what a person should know of it: how much is trained on, and each thing that is not as in the data."""
        what = _WORDS.get(self.trained_on, self.trained_on)
        sentences = [f"Trained on {what}: {self.trained_tokens:,} of {self.tokens:,} tokens."]
        if self.cut_rows:
            sentences.append(
                f"{self.cut_rows:,} of {self.rows:,} rows are longer than {self.max_length:,} tokens and are cut: "
                f"{self.cut_tokens:,} tokens, {self.cut_trained_tokens:,} of them trained on."
            )
        if self.untrained_rows:
            sentences.append(f"{self.untrained_rows:,} row(s) are left out: none of the tokens seen is trained on.")
        if self.unreadable_rows:
            sentences.append(f"{self.unreadable_rows:,} row(s) cannot be written as tokens.")
        sentences += [f"In {rows:,} row(s), not used as it is: {name}." for name, rows in self.remarks.items()]
        return sentences
