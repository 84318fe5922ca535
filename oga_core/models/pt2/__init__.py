"""`.pt2` files of torch.export, read by a reader of our own that runs nothing of theirs."""
