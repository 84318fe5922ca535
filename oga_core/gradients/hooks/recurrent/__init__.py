"""Recurrent layers: what a backward pass through time needs of them."""
