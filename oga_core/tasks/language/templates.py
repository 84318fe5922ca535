"""A tokenizer's chat template: conversations as text, and where in it each turn stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from oga_core.errors import OgaError
from oga_core.models.refusals import reason
from oga_core.readers.turns import words
from oga_core.samples import UnreadableSample

Message = Mapping[str, Any]
Span = tuple[int, int]

_MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE = "probe"
# Arguments of `apply_chat_template` that are no variables of the template: a row that set them would bring a program of
# its own, fill the memory with padding, or be another type than its tokens.
_NOT_OF_ROWS = frozenset(
    {
        *("chat_template", "padding", "truncation", "max_length", "return_tensors", "return_dict", "tokenizer_kwargs"),
        *("conversation", "tokenize", "add_generation_prompt", "continue_final_message"),
        "return_assistant_tokens_mask",
    }
)


class ChatTemplate:
    """Renders conversations as the trainer does; `options` are the tools and the template's own variables."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer

    @cached_property
    def marks_assistant(self) -> bool:
        """Whether the template says itself which of its text is the assistant's, by {% generation %}."""
        template = self.tokenizer.chat_template
        template = template.get("default", "") if isinstance(template, dict) else template
        return _MARKER.search(template or "") is not None

    @cached_property
    def takes_parts(self) -> bool:
        """Whether the template writes content that is a list of parts, and not the list's code."""
        parts = [{"role": "user", "content": [{"type": "text", "text": _PROBE}]}]
        try:
            rendered = self.render(parts, {})
        except UnreadableSample:
            return False
        return _PROBE in rendered and f"'{_PROBE}'" not in rendered and f'"{_PROBE}"' not in rendered

    def prepared(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with their content as this template can write it: parts joined where it takes texts alone."""
        return list(messages) if self.takes_parts else [joined(message) for message in messages]

    def render(self, messages: Sequence[Message], options: Mapping[str, Any], *, prompt: bool = False) -> str:
        """Return the conversation as text; with `prompt`, up to where the assistant's next turn would begin."""
        return str(self._apply(messages, options, tokenize=False, add_generation_prompt=prompt))

    def tokens(self, messages: Sequence[Message], options: Mapping[str, Any], **how: Any) -> dict[str, list[int]]:
        """Return `input_ids` of the conversation, and `assistant_masks` where `how` asks for them."""
        tokens: dict[str, list[int]] = self._apply(messages, options, tokenize=True, return_dict=True, **how)
        return tokens

    def _apply(self, messages: Sequence[Message], options: Mapping[str, Any], **how: Any) -> Any:
        from jinja2 import TemplateSyntaxError

        if not self.tokenizer.chat_template:
            raise OgaError(
                "The rows are conversations and the tokenizer has no chat template, so nothing says how the trainer "
                "wrote them. Save the template of the training with it: tokenizer.chat_template = …; "
                "tokenizer.save_pretrained(folder)."
            )
        if taken := sorted(options.keys() & _NOT_OF_ROWS):
            raise UnreadableSample(f"its 'chat_template_kwargs' set {taken[0]!r}, which is no variable of a template")
        try:
            return self.tokenizer.apply_chat_template(list(messages), **options, **how)
        except TemplateSyntaxError as error:
            raise OgaError(
                f"The tokenizer's chat template is no valid template (line {error.lineno}: {error.message}). Correct "
                "it and save it again: tokenizer.chat_template = …; tokenizer.save_pretrained(folder)."
            ) from None
        except Exception as error:  # templates are programs of somebody else's, and refuse rows with any exception
            raise UnreadableSample(f"the tokenizer's chat template refuses the conversation: {reason(error)}") from None

    @cached_property
    def control_tokens(self) -> dict[int, str]:
        """The tokens that are marks and no words, such as the end of a turn, with their text."""
        return {id: token.content for id, token in self.tokenizer.added_tokens_decoder.items()}


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many leading characters, or tokens, are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def joined(message: Message) -> Message:
    """The message with parts of its content joined into one text."""
    content = message.get("content")
    return {**message, "content": words(message)} if isinstance(content, list) else message


def left_out(messages: Sequence[Message], rendered: str) -> int:
    """Return how many messages have words that are not in the rendered conversation as they are."""
    texts = [words(message).strip() for message in messages]
    return sum(text not in rendered and json.dumps(text)[1:-1] not in rendered for text in texts)
