"""Score where training happens: a callback for the Trainer of Hugging Face, and one for Lightning's."""
