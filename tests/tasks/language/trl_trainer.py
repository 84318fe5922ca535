"""TRL's own trainer, asked for the tokens and labels that it would train on."""

import functools
import tempfile

import datasets
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

datasets.disable_progress_bars()


@functools.cache
def _model() -> LlamaForCausalLM:
    config = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=512, **config))


def trained_by_trl(tokenizer, rows: list[dict], **options) -> list[dict]:
    """The `input_ids` and `labels` of every row that TRL keeps."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(folder, report_to="none", use_cpu=True, bf16=False, **options)
        trainer = SFTTrainer(
            _model(), args=arguments, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
        )
    return [{name: row[name] for name in ("input_ids", "labels")} for row in trainer.train_dataset]
