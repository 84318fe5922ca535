"""What rows train a language model to say: responses that may be corrected, and pairs of a better and a worse one."""
