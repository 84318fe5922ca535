"""What previews draw of labels that are no single class: numbers, and tags of words."""
