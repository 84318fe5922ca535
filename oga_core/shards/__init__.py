"""One run on several workers: shards of whole batches, each whole or not at all, that are merged and scored."""
