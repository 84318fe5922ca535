"""Our own components, each a folder with its Python, JavaScript and style, and what they share."""
