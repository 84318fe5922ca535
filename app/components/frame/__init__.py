"""What watches over a page as a whole."""
