"""The map of gradients: `gradient_map` draws it, `points.MapPoints` packs what it draws."""
