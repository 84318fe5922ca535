"""Hugging Face models and PEFT adapters. Neither library reads an uploaded file by itself."""
