"""Numbers of tokens, placed in the messages of a row."""

import numpy as np
import pytest

from oga_core.previews.heat import heat_of


def tokens(*parts):
    """Tokens by text; those that begin with an asterisk are trained on."""
    return [{"text": part.removeprefix("*"), "trained": part.startswith("*")} for part in parts]


MESSAGES = (("prompt", "Say hi to Bo. "), ("completion", "Hi Bo, hi!"))
ROW = tokens("<s>", "Say", " hi", " to", " Bo", ". ", "*Hi", "* Bo", "*,", "* hi", "*!", "*</s>")


def test_each_trained_token_has_its_place_and_number():
    heat = heat_of(MESSAGES, ROW, [1, 2, 3, 4, 5, 6])
    assert [(m, MESSAGES[m][1][start:end], value) for m, start, end, value in heat.spans] == [
        (1, "Hi", 1.0),
        (1, " Bo", 2.0),
        (1, ",", 3.0),
        (1, " hi", 4.0),
        (1, "!", 5.0),
    ]
    assert heat.rest == (("</s>", 6.0),)
    assert (heat.mean, heat.n_tokens) == (3.5, 6)


def test_all_numbers_are_shown_and_add_up():
    heat = heat_of(MESSAGES, ROW, np.arange(6, dtype=np.float16))
    assert sum(value for *_, value in heat.spans) + sum(value for _, value in heat.rest) == sum(range(6))


def test_the_same_words_earlier_are_not_taken_for_the_answer():
    messages = (("user", "yes"), ("assistant", "yes"), ("user", "yes"), ("assistant", "yes"))
    row = tokens("<u>", "yes", "<a>", "*yes", "*<e>", "<u>", "yes", "<a>", "*yes", "*<e>")
    heat = heat_of(messages, row, [1, 2, 3, 4])
    assert heat.spans == ((1, 0, 3, 1.0), (3, 0, 3, 3.0))
    assert heat.rest == (("<e>", 2.0), ("<e>", 4.0))


def test_spaces_around_a_message_are_not_looked_for():
    heat = heat_of((("assistant", "  a b\n"),), tokens("*a", "* b"), [1, 2])
    assert heat.spans == ((0, 2, 3, 1.0), (0, 3, 5, 2.0))


def test_the_bytes_of_one_letter_share_its_place():
    heat = heat_of((("text", "a🐈b"),), tokens("*a", "*", "*", "*🐈", "*b", "*"), [1, 2, 3, 4, 5, 6])
    assert heat.spans == ((0, 0, 1, 1.0), (0, 1, 2, 9.0), (0, 2, 3, 11.0))


def test_a_message_that_is_written_otherwise_has_no_shades_and_loses_no_number():
    heat = heat_of((("assistant", "Hello"),), tokens("*hello", "*</s>"), [1, 2])
    assert heat.spans == ()
    assert heat.rest == (("hello", 1.0), ("</s>", 2.0))


@pytest.mark.parametrize("numbers", [[], [1.0]])
def test_numbers_of_other_tokens_are_not_shown(numbers):
    assert heat_of((("assistant", "ab"),), tokens("*a", "*b"), numbers) is None
