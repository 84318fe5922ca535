"""The tokens of one row and which of them are trained on, as TRL's SFTTrainer makes them.

TRL 1.16, `SFTTrainer._prepare_dataset`: special tokens are the tokenizer's own; an end token follows a text or a
completion that has none; a completion begins where the tokens of prompt and whole part; a conversation is what the
chat template writes. `assistant` is its `assistant_only_loss`, `completion` its `completion_only_loss`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from oga_core.errors import OgaError, unknown
from oga_core.models.card import TRAINED_ON
from oga_core.tasks.language.templates import ChatTemplate, Message, Span, common_length, left_out
from oga_core.tasks.language.turns import TurnFinder
from oga_core.tasks.task import tokenized

_OPTIONS = ("tools", "chat_template_kwargs")
_NOT_WRITTEN = "words that the chat template leaves out or changes"
_JOINED = "parts of a message, joined into one text"
_UNWEIGHTED = "turns of weight 0"
_BOUNDARY = "ends of a prompt that are written differently before the completion"


@dataclass(frozen=True)
class RowTokens:
    """The tokens of a row before anything is cut off.

    ids, trained: `(tokens,)`, the token and whether it is trained on. trained_on: which of `TRAINED_ON` that is.
    remarks: what of the row is not among the tokens as it is, and how often.
    """

    ids: list[int]
    trained: list[bool]
    trained_on: str = "all"
    remarks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RowReader:
    """Makes the tokens of rows in the shapes of `readers.language`.

    trained_on: one of `TRAINED_ON`; None is what TRL takes for prompt and completion (the completion) and for texts
    (all), and every turn of the assistant in a conversation.
    """

    tokenizer: Any
    trained_on: str | None = None

    def __post_init__(self) -> None:
        if self.trained_on is not None and self.trained_on not in TRAINED_ON:
            raise unknown("what is trained on:", self.trained_on, TRAINED_ON)

    @cached_property
    def template(self) -> ChatTemplate:
        """The tokenizer's chat template."""
        return ChatTemplate(self.tokenizer)

    def __call__(self, row: Mapping[str, Any]) -> RowTokens:
        """Return the tokens of a row; raises `UnreadableSample` for one that cannot be written as the trainer would."""
        ignored = dict.fromkeys(row.get("ignored", ()), 1)
        if "messages" in row or not isinstance(row.get("prompt", ""), str):
            tokens = self._conversation(row)
        elif "completion" in row:
            tokens = self._completion(row["prompt"], row["completion"])
        else:
            tokens = self._text(row["text"])
        return replace(tokens, remarks={**ignored, **tokens.remarks})

    def _text(self, text: str) -> RowTokens:
        if self.trained_on not in (None, "all"):
            raise _no_such_part(self.trained_on, "texts, of which every token is trained on", "all")
        ids = self._ids(self._ended(text))
        return RowTokens(ids, [True] * len(ids))

    def _completion(self, prompt: str, completion: str) -> RowTokens:
        before = self._ids(prompt)
        ids = self._ids(prompt + self._ended(completion))
        start = 0 if self.trained_on == "all" else common_length(before, ids)
        remarks = {_BOUNDARY: 1} if self.trained_on != "all" and self._differs(before, start) else {}
        trained_on = "all" if self.trained_on == "all" else "completion"
        return RowTokens(ids, [i >= start for i in range(len(ids))], trained_on, remarks)

    def _differs(self, prompt: Sequence[int], start: int) -> bool:
        """Whether words of the prompt stand after where the completion starts; an end token of its own is no word."""
        return not set(prompt[start:]) <= set(self.tokenizer.all_special_ids)

    def _ended(self, text: str) -> str:
        end = self.tokenizer.eos_token
        return text if end is None or text.endswith(end) else text + end

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = tokenized(self.tokenizer, text)["input_ids"]
        return ids

    def _conversation(self, row: Mapping[str, Any]) -> RowTokens:
        prompt = self.template.prepared(row.get("prompt", ()))
        messages = [*prompt, *self.template.prepared(row.get("messages", row.get("completion", ())))]
        options = {"tools": row.get("tools"), **row.get("chat_template_kwargs", {})}
        if self.trained_on == "completion" and not prompt:
            raise _no_such_part("completion", "conversations without a prompt of their own", "assistant, last or all")
        trained_on = self.trained_on or ("completion" if prompt else "assistant")
        remarks = Counter(self._remarks(row, messages, options))
        if trained_on == "all":
            ids = self.template.tokens(messages, options)["input_ids"]
            return RowTokens(ids, [True] * len(ids), "all", +remarks)
        if trained_on == "completion":
            before = self.template.tokens(prompt, options, add_generation_prompt=True)["input_ids"]
            ids = self.template.tokens(messages, options)["input_ids"]
            start = common_length(before, ids)
            remarks[_BOUNDARY] += self._differs(before, start)
            return RowTokens(ids, [i >= start for i in range(len(ids))], "completion", +remarks)
        turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        turns = [i for i in turns[-1 if trained_on == "last" else 0 :] if messages[i].get("weight") != 0]
        return RowTokens(*self._turns(messages, options, turns), trained_on, +remarks)

    def _turns(
        self, messages: Sequence[Message], options: Mapping[str, Any], turns: Sequence[int]
    ) -> tuple[list[int], list[bool]]:
        """The tokens of a conversation, and whether they are of the chosen turns of the assistant."""
        spoken = sum(message["role"] == "assistant" for message in messages)
        if self.template.marks_assistant:
            tokens = self.template.tokens(messages, options, return_assistant_tokens_mask=True)
            marked = [mark == 1 for mark in tokens["assistant_masks"]]
            if len(turns) == spoken:
                return tokens["input_ids"], marked
        finder = TurnFinder(self.template, messages, options)
        spans = finder.turns()
        trained = _overlapping([piece for _, piece in finder.pieces], [spans[i] for i in turns])
        if self.template.marks_assistant:
            trained = [both and mark for both, mark in zip(trained, marked, strict=True)]
        return [token for token, _ in finder.pieces], trained

    def _remarks(
        self, row: Mapping[str, Any], messages: Sequence[Message], options: Mapping[str, Any]
    ) -> Iterable[str]:
        """What of the row is not among its tokens as it is, one name for each time."""
        rendered = self.template.render(messages, options)
        yield from [_NOT_WRITTEN] * left_out(messages, rendered)
        yield from [_UNWEIGHTED] * sum(m["role"] == "assistant" and m.get("weight") == 0 for m in messages)
        given = [*row.get("prompt", ()), *row.get("messages", row.get("completion", ()))]
        if not self.template.takes_parts:
            yield from [_JOINED] * sum(isinstance(message.get("content"), list) for message in given)
        if row.get("tools") and rendered == self.template.render(messages, {**options, "tools": None}):
            yield "tools"


def _overlapping(offsets: Sequence[Span], spans: Sequence[Span]) -> list[bool]:
    """Whether each token has a character within one of the spans, as transformers masks the assistant's."""
    return [any(start < stop and end > begin for begin, stop in spans) for start, end in offsets]


def _no_such_part(trained_on: str, rows: str, allowed: str) -> OgaError:
    return OgaError(f"What is trained on is to be {trained_on!r}, but the rows are {rows}. Choose {allowed}.")
