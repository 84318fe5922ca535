"""Models and data sets that live in the caller's process: any `nn.Module`, any sequence of samples."""
