"""What a trainer makes of a row for a language model: tokens, and which of them are trained on."""
