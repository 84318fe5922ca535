"""Images with a mask each, in which every pixel has a class."""
