"""Text: made-up messages to a shop's help desk, 9 % of them filed under the wrong topic.

Writes messages.csv, messages_truth.csv and the folder messages/ (a small BERT in the Hugging Face format with its
tokenizer). Run: python sample_data/make_messages.py
"""

from __future__ import annotations

import csv
import random

import numpy as np
import torch
from noise import FOLDER, SEED, flip_labels, train, write_truth

CLASSES = ["billing", "delivery", "returns", "technical"]
MESSAGES = 1200
NOISE = 0.09

THINGS = (
    "headphones", "kettle", "lamp", "backpack", "keyboard", "running shoes", "coffee grinder", "tent", "camera",
    "office chair", "blender", "phone case", "jacket", "desk", "speaker", "garden hose", "bicycle pump", "printer",
)  # fmt: skip
OPENINGS = ("Hello,", "Hi,", "Good morning,", "Dear team,", "", "", "", "Sorry to bother you again,", "Quick question:")
CLOSINGS = ("Thanks.", "Please help.", "Any news?", "", "", "", "Best regards.", "I need this soon.", "Thank you!")
SENTENCES = {
    "billing": (
        "I was charged twice for the {thing}",
        "the invoice for the {thing} shows the wrong amount",
        "my card was declined although there is enough money on it",
        "could you send a receipt for the {thing} with our company's tax number",
        "the discount code was not taken off the price of the {thing}",
        "I still see a pending payment of {number} euros",
        "why is there a fee of {number} euros on my statement",
        "I would like to pay for the {thing} in instalments",
    ),
    "delivery": (
        "the {thing} should have arrived {number} days ago",
        "the tracking page has not changed for {number} days",
        "the courier left the {thing} at the wrong address",
        "can I change the address for my order of the {thing}",
        "the parcel with the {thing} arrived wet and crushed",
        "is it possible to have the {thing} delivered on a Saturday",
        "the driver says nobody was at home, but I was here all day",
        "how long does shipping of the {thing} to Portugal take",
    ),
    "returns": (
        "I want to send the {thing} back because it is too small",
        "where do I find the return label for the {thing}",
        "I returned the {thing} {number} days ago and have not got my money back",
        "the {thing} is not what the picture showed and I would like to exchange it",
        "can I swap the {thing} for another colour",
        "how many days do I have to return the {thing}",
        "the shop refused to take the {thing} back",
        "I changed my mind about the {thing} and have not opened it",
    ),
    "technical": (
        "the {thing} does not switch on any more",
        "the app crashes when I connect the {thing}",
        "how do I update the firmware of the {thing}",
        "I cannot log in, the password reset mail never comes",
        "the website shows error {number} when I open my basket",
        "the {thing} makes a strange noise after {number} minutes",
        "the battery of the {thing} is empty after {number} minutes",
        "pairing the {thing} with my phone fails every time",
    ),
}


def write_message(topic: str, rng: random.Random) -> str:
    """One message, at times with a second sentence, lower-case or with a typing error."""
    picks = rng.sample(SENTENCES[topic], 2 if rng.random() < 0.35 else 1)
    parts = [pick.format(thing=rng.choice(THINGS), number=rng.randint(2, 40)) for pick in picks]
    text = " ".join(filter(None, [rng.choice(OPENINGS), ". ".join(parts) + ".", rng.choice(CLOSINGS)]))
    if rng.random() < 0.15:
        position = rng.randrange(1, len(text) - 1)
        text = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    return text[0].upper() + text[1:] if rng.random() < 0.8 else text.lower()


def make_tokenizer(texts: list[str]):
    """A WordPiece tokenizer of 800 pieces trained on the messages."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=800, special_tokens=special))
    ends = [("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    tokenizer.post_processor = processors.BertProcessing(ends[1], ends[0])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )


def main() -> None:
    """Write data, truth and model."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    true = np.array([rng.randrange(len(CLASSES)) for _ in range(MESSAGES)], dtype=np.int64)
    texts = [write_message(CLASSES[topic], rng) for topic in true]
    given = flip_labels(true, len(CLASSES), NOISE)
    ids = [f"message-{i:04d}" for i in range(MESSAGES)]
    with open(FOLDER / "messages.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        writer.writerows(zip(ids, texts, [CLASSES[label] for label in given], strict=True))
    write_truth("messages", ids, [CLASSES[label] for label in true])

    tokenizer = make_tokenizer(texts)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    model = BertForSequenceClassification(config)
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    train(
        model,
        lambda rows: model(input_ids=tokens["input_ids"][rows], attention_mask=tokens["attention_mask"][rows]).logits,
        given,
        epochs=8,
        learning_rate=1e-3,
    )
    model.half().save_pretrained(FOLDER / "messages")
    tokenizer.save_pretrained(FOLDER / "messages")


if __name__ == "__main__":
    main()
