"""One row of every format, and what TRL reads of it: the row itself, or what the documented mapping makes of it."""

import json

USER = {"role": "user", "content": "the quick fox ?"}
ANSWER = {"role": "assistant", "content": "the lazy dog ."}
AGAIN = {"role": "user", "content": "over the dog !"}
MORE = {"role": "assistant", "content": "fox jumps 1 2 3"}
SYSTEM = {"role": "system", "content": "brown dog"}
TOOL = {"type": "function", "function": {"name": "fox", "parameters": {"type": "object", "properties": {}}}}
CALL = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "fox", "arguments": {"a": 1}}}]}
RESULT = {"role": "tool", "content": "2"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "the quick "}, {"type": "text", "text": "fox ?"}]}
ANSWER_IN_PARTS = {"role": "assistant", "content": [{"type": "text", "text": "the lazy dog ."}]}

# name: (the row as it lies in a file, the row that TRL is given)
ROWS = {
    "text": ({"text": "the quick brown fox"}, None),
    "text that has its end token": ({"text": "the quick brown fox</s>"}, None),
    "prompt and completion": ({"prompt": "the quick", "completion": " brown fox"}, None),
    "prompt and completion, joined within a word": ({"prompt": "the qui", "completion": "ck brown fox"}, None),
    "prompt and completion of turns": ({"prompt": [USER], "completion": [ANSWER]}, None),
    "prompt and completion of more turns": ({"prompt": [USER, ANSWER, AGAIN], "completion": [MORE]}, None),
    "one question": ({"messages": [USER, ANSWER]}, None),
    "several turns": ({"messages": [USER, ANSWER, AGAIN, MORE]}, None),
    "ends in the user's turn": ({"messages": [USER, ANSWER, AGAIN]}, None),
    "with a system turn": ({"messages": [SYSTEM, USER, ANSWER]}, None),
    "with tools": (
        {"messages": [USER, {**CALL, "content": "the"}, RESULT, ANSWER], "tools": json.dumps([TOOL])},
        None,
    ),
    "a call without content": ({"messages": [USER, {**CALL, "content": None}, RESULT, ANSWER], "tools": [TOOL]}, None),
    "content in parts": (
        {"messages": [PARTS, {**ANSWER, "content": [{"type": "text", "text": "the lazy dog ."}]}]},
        None,
    ),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": USER["content"]}, {"from": "gpt", "value": ANSWER["content"]}]},
        {"messages": [USER, ANSWER]},
    ),
    "ShareGPT with system and tools": (
        {
            "conversations": [
                {"from": "human", "value": USER["content"]},
                {"from": "function_call", "value": json.dumps({"name": "fox", "arguments": {"a": 1}})},
                {"from": "observation", "value": "2"},
                {"from": "gpt", "value": ANSWER["content"]},
            ],
            "system": "brown dog",
            "tools": json.dumps([TOOL]),
        },
        {"messages": [SYSTEM, USER, CALL, RESULT, ANSWER], "tools": json.dumps([TOOL])},
    ),
    "Alpaca": (
        {"instruction": "the quick", "input": "", "output": "brown fox"},
        {"prompt": "the quick", "completion": "brown fox"},
    ),
    "Alpaca with input": (
        {"instruction": "the quick", "input": "dog", "output": "brown fox"},
        {"prompt": "the quick\n\ndog", "completion": "brown fox"},
    ),
    "Alpaca with system and history": (
        {
            "instruction": "over the dog",
            "input": "!",
            "output": MORE["content"],
            "system": SYSTEM["content"],
            "history": [[USER["content"], ANSWER["content"]]],
        },
        {"messages": [SYSTEM, USER, ANSWER, {"role": "user", "content": "over the dog\n!"}, MORE]},
    ),
    "question and answer": (
        {"question": "the quick ?", "answer": "brown fox"},
        {"prompt": "the quick ?", "completion": "brown fox"},
    ),
    "prompt and response": (
        {"prompt": "the quick ?", "response": "brown fox"},
        {"prompt": "the quick ?", "completion": "brown fox"},
    ),
    "input and output": (
        {"input": "the quick ?", "output": "brown fox"},
        {"prompt": "the quick ?", "completion": "brown fox"},
    ),
}
