"""The turns of a conversation, in the form that chat templates take: OpenAI's, whatever form they came in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from oga_core.errors import UnreadableSample

# Roles that chat templates know stay as they are, which is what trainers do.
ROLES = {
    **{role: role for role in ("user", "assistant", "system", "developer", "tool", "function", "ipython")},
    **dict.fromkeys(("human",), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("observation", "tool_response", "function_response"), "tool"),
}
_CALLS = frozenset({"function_call", "tool_call"})


def conversation(turns: Any) -> list[dict[str, Any]]:
    """Return the turns with `role` and `content` and all else that they had; raises `UnreadableSample`."""
    return [_turn(turn) for turn in turns_of(turns, "messages")]


def turns_of(value: Any, name: str) -> list[Any]:
    """Return a list that is not empty, of a list or of JSON; `name` is what errors call it."""
    value = parsed(value, name)
    if not isinstance(value, (list, tuple)) or not value:
        raise UnreadableSample(f"its {name} are not a list of turns")
    return list(value)


def parsed(value: Any, name: str) -> Any:
    """Return what JSON in a text stands for; other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise UnreadableSample(f"its {name} are not valid JSON") from None


def words(turn: Mapping[str, Any]) -> str:
    """Return the text of a turn, joined where it comes in parts."""
    content = turn.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _turn(turn: Any) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise UnreadableSample("a message is not an object with 'role' and 'content'")
    role = turn.get("role") or turn.get("from")
    content = turn.get("content", turn.get("value"))
    if not isinstance(role, str):
        raise UnreadableSample("a message has no 'role'")
    kind = role.strip().casefold()
    if kind not in ROLES:
        raise UnreadableSample(f"a message has the unknown role {role!r}")
    rest = {key: value for key, value in turn.items() if key not in ("role", "from", "content", "value")}
    if kind in _CALLS and isinstance(content, str) and (calls := _calls(content)):
        content = None
        rest["tool_calls"] = calls
    elif isinstance(rest.get("function_call"), Mapping) and not rest.get("tool_calls"):
        rest["tool_calls"] = [_call(rest.pop("function_call"))]
    _check_weight(rest.get("weight"))
    _check_calls(rest.get("tool_calls"))
    return {"role": ROLES[kind], **_content(content, bool(rest.get("tool_calls"))), **rest}


def _content(content: Any, calls_tools: bool) -> dict[str, Any]:
    """The words of a turn, a text or a list of parts; none are needed where it calls tools."""
    if content is None and calls_tools:
        return {}
    if isinstance(content, list):
        return {"content": [_part(part) for part in content]}
    if not isinstance(content, str):
        raise UnreadableSample("a message has no text under 'content'")
    return {"content": content}


def _part(part: Any) -> dict[str, str]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    kind = part.get("type") if isinstance(part, Mapping) else part
    raise UnreadableSample(f"a message has a part of type {kind!r}, and only texts can be scored")


def _calls(text: str) -> list[dict[str, Any]]:
    """The calls of functions that a text holds as JSON; none where it holds something else."""
    try:
        calls = json.loads(text)
    except (ValueError, RecursionError):
        return []
    calls = calls if isinstance(calls, list) else [calls]
    named = all(isinstance(call, Mapping) and "name" in call for call in calls)
    return [_call(call) for call in calls] if named else []


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": call.get("name"), "arguments": call.get("arguments", {})}}


def _check_weight(weight: Any) -> None:
    if weight is not None and weight not in (0, 1):
        raise UnreadableSample(f"a message has the weight {weight!r}, and only 0 and 1 have a meaning")


def _check_calls(calls: Any) -> None:
    """Templates write what else they find there as they can, or fail in words of their own."""
    if calls and not (isinstance(calls, (list, tuple)) and all(isinstance(call, Mapping) for call in calls)):
        raise UnreadableSample("the 'tool_calls' of a message are not a list of objects with a function's name")
