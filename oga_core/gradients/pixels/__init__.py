"""What a pass keeps of the pixels of images whose every pixel has a class."""
