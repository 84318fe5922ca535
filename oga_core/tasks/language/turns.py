"""Where in a rendered conversation the assistant speaks, for chat templates that do not mark it.

A turn begins where the template ends when it asks for one after the turns before, and ends where the conversation up to
it ends. Templates that write a turn differently when others follow (the last one closed by another token, thoughts
dropped from all but the last) are met by what both ways have in common; what stays in doubt is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oga_core.readers.turns import words
from oga_core.samples import UnreadableSample
from oga_core.tasks.language.templates import ChatTemplate, Message, Span, common_length
from oga_core.tasks.task import tokenized

_PROBE = "probe"
_TAIL = 20  # characters at the end of a turn's words that must stand before its end


@dataclass(frozen=True)
class TurnFinder:
    """Finds the turns of one conversation, rendered with the template's `options`."""

    template: ChatTemplate
    messages: Sequence[Message]
    options: Mapping[str, Any]

    @cached_property
    def whole(self) -> str:
        """The rendered conversation."""
        return self.template.render(self.messages, self.options)

    @cached_property
    def pieces(self) -> list[tuple[int, Span]]:
        """The tokens of the rendered conversation, each with its characters."""
        how = {"add_special_tokens": False, "return_offsets_mapping": True}
        encoded = tokenized(self.template.tokenizer, self.whole, **how)
        return list(zip(encoded["input_ids"], map(tuple, encoded["offset_mapping"]), strict=True))

    def turns(self) -> dict[int, Span]:
        """Return the characters of each turn of the assistant, by its place among the messages.

        Raises `UnreadableSample` where the assistant's words cannot be told from the others.
        """
        spans: dict[int, Span] = {}
        end = 0
        for i, message in enumerate(self.messages):
            if message["role"] == "assistant":
                start = self._start(i, end)
                end = self._end(i, start)
                spans[i] = (start, end)
        return spans

    def _start(self, i: int, after: int) -> int:
        before = self.messages[:i]
        if not before:
            return self._opening()
        asked = self.template.render(before, self.options, prompt=True)
        if self.whole.startswith(asked):
            return len(asked)
        # A template may ask for more than it writes, such as an open thought: the turn begins where they part.
        if self.whole.startswith(self.template.render(before, self.options)):
            return common_length(asked, self.whole)
        return self._end_of(asked, before[-1], after, self._next_words(i - 1)) or self._refuse()

    def _opening(self) -> int:
        """Where a conversation that the assistant opens begins: after the words that announce its turns."""
        some = [{"role": "user", "content": _PROBE}]
        asked = self.template.render(some, self.options, prompt=True)
        announced = asked.removeprefix(self.template.render(some, self.options))
        at = self.whole.find(announced)
        return at + len(announced) if announced and at >= 0 else 0

    def _end(self, i: int, start: int) -> int:
        alone = self.template.render(self.messages[: i + 1], self.options)
        if self.whole.startswith(alone) and len(alone) > start:
            return len(alone)
        message = self.messages[i]
        limit = self._next_words(i)
        return self._end_of(alone, message, start, limit) or self._closed(alone, message, start) or self._refuse()

    def _next_words(self, i: int) -> int:
        """Where the words of the message after the i-th begin: no turn reaches further."""
        if i + 1 == len(self.messages):
            return len(self.whole)
        first = words(self.messages[i + 1]).strip()[:1]
        other = {**self.messages[i + 1], "content": "b" if first == "a" else "a"}
        changed = [*self.messages[: i + 1], other, *self.messages[i + 2 :]]
        return common_length(self.template.render(changed, self.options), self.whole)

    def _end_of(self, part: str, message: Message, after: int, limit: int) -> int | None:
        """The end of the longest end of `part` that stands between `after` and `limit`, where it holds the words."""
        tail = _tail(message)
        between = self.whole[after:limit]
        missing = 0
        length = len(part)
        while missing < length:  # an end that is found has shorter ends that are
            middle = (missing + length) // 2
            if part[middle:] in between:
                length = middle
            else:
                missing = middle + 1
        ending = part[length:]
        return after + between.find(ending) + len(ending) if tail and tail in ending else None

    def _closed(self, alone: str, message: Message, start: int) -> int | None:
        """The end of a turn that is closed by another token when it is the last."""
        tail = _tail(message)
        same = common_length(alone, self.whole)
        if same <= start or not tail or tail not in self.whole[start:same]:
            return None
        end = max((stop for _, (_, stop) in self.pieces if stop <= same), default=start)
        marks = self.template.control_tokens
        if self.whole[start:end].rstrip().endswith(tuple(marks.values())):
            return end
        return next((stop for token, (begin, stop) in self.pieces if begin == end and token in marks), end)

    def _refuse(self) -> int:
        raise UnreadableSample(
            "the chat template writes its turns differently alone and in the whole, so the assistant's words cannot be "
            "told from the others; mark them in the template with {% generation %}, or train on all"
        )


def _tail(message: Message) -> str:
    """The end of a turn's words, or the name of the last function that it calls where it has none."""
    names = [str(call.get("function", call).get("name", "")) for call in message.get("tool_calls") or ()]
    return words(message).strip()[-_TAIL:] or next(reversed(names), "")
