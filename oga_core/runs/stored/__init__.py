"""Parquet files of the run folder, read a column or a page of rows at a time."""
