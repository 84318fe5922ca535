"""`.pt2` files of torch.export: written by `package_model`, read by a reader of our own that runs nothing of theirs."""
