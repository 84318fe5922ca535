"""Writes any `nn.Module` as a `.pt2` file: example inputs, export, and the proof that it reads back the same."""
