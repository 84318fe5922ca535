"""Influence functions: what the loss on other samples would be had a training sample weighed more or less."""
