"""Small data sets and models with known injected label noise, made by the scripts in this folder."""
