"""What the rows of a table say of their labels, by trees that have not seen them and by noise that fills a corner."""
