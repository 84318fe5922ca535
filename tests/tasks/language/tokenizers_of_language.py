"""Small tokenizers of each kind that a trainer meets, built here: what they add, how they cut words, how they chat."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|tool|>"]
TEXT = (
    "the quick brown fox jumps over the lazy dog ? ! . , : { } [ ] \" ' 0 1 2 3 4 5 6 7 8 9 user assistant system tool"
)

# ChatML with tools, as Qwen writes it; `generation` and `end` are what differs between the templates below.
_CHATML = """{{%- if tools -%}}{{{{ '<|im_start|>system\\n# Tools' }}}}
{{%- for tool in tools -%}}{{{{ '\\n' + (tool | tojson) }}}}{{%- endfor -%}}{{{{ '<|im_end|>\\n' }}}}{{%- endif -%}}
{{%- for message in messages -%}}
{{{{- '<|im_start|>' + message.role + '\\n' -}}}}
{{%- if message.role == 'assistant' -%}}{generation}
{{%- if message.content is string -%}}{{{{ message.content }}}}
{{%- else -%}}{{%- for part in message.content or [] -%}}{{{{ part.text }}}}{{%- endfor -%}}{{%- endif -%}}
{{%- for call in message.tool_calls or [] -%}}{{{{ '<|tool|>' + (call.function | tojson) }}}}{{%- endfor -%}}
{{{{- '<|im_end|>\\n' -}}}}{end}
{{%- else -%}}
{{%- if message.content is string -%}}{{{{ message.content }}}}
{{%- else -%}}{{%- for part in message.content -%}}{{{{ part.text }}}}{{%- endfor -%}}{{%- endif -%}}
{{{{- '<|im_end|>\\n' -}}}}
{{%- endif -%}}{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{ '<|im_start|>assistant\\n' }}}}{{%- endif -%}}"""
MARKED = _CHATML.format(generation="{%- generation -%}", end="{%- endgeneration -%}")
UNMARKED = _CHATML.format(generation="", end="")
# As Mistral's and Llama 2's: BOS in the template, the tokenizer's end token closes each answer.
ENDED = """{{- bos_token -}}{%- for message in messages -%}
{%- if message.role == 'assistant' -%}{%- generation -%}{{ ' ' -}}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}{%- for part in message.content or [] -%}{{ part.text }}{%- endfor -%}{%- endif -%}
{%- for call in message.tool_calls or [] -%}{{ '[CALL] ' + (call.function | tojson) }}{%- endfor -%}{{ eos_token }}
{%- endgeneration -%}
{%- elif message.content is string -%}{{ '[' + message.role + '] ' + message.content }}
{%- else -%}{{ '[' + message.role + '] ' }}{%- for part in message.content -%}{{ part.text }}{%- endfor -%}
{%- endif -%}{%- endfor -%}"""


def byte_level(template: str | None = None, *, bos: bool = False, eos: bool = False) -> PreTrainedTokenizerFast:
    """Byte pairs, as GPT-2's and Llama 3's; with `bos` and `eos` they are put around every text."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        [TEXT] * 3, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    return _wrapped(inner, template, bos=bos, eos=eos)


def word_level(template: str | None = None, *, bos: bool = False, eos: bool = False) -> PreTrainedTokenizerFast:
    """Whole words between spaces and signs; what it does not know is one token."""
    words = dict.fromkeys([*SPECIAL, *TEXT.split()])
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(SPECIAL)
    return _wrapped(inner, template, bos=bos, eos=eos)


def _wrapped(inner: Tokenizer, template: str | None, *, bos: bool, eos: bool) -> PreTrainedTokenizerFast:
    if bos or eos:
        single = " ".join(["<s>"] * bos + ["$A"] + ["</s>"] * eos)
        ids = [(token, inner.token_to_id(token)) for token in ("<s>", "</s>")]
        added = processors.TemplateProcessing(single=single, special_tokens=ids)
        inner.post_processor = added
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def same_words(tokenizer: PreTrainedTokenizerFast, template: str) -> PreTrainedTokenizerFast:
    """The tokenizer with another chat template."""
    inner = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template, **tokenizer.special_tokens_map)


# By name: the tokenizer, and whether its template marks the assistant's words.
TOKENIZERS = {
    "byte pairs, no BOS, marked": lambda: byte_level(MARKED),
    "byte pairs, BOS added, end token in the template": lambda: byte_level(ENDED, bos=True),
    "words, BOS added, marked": lambda: word_level(MARKED, bos=True),
    "words, BOS and end token added, not marked": lambda: word_level(UNMARKED, bos=True, eos=True),
}
