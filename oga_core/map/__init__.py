"""The plane that samples are shown on: where each lies, and which of them an area holds."""
