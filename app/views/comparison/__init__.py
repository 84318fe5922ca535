"""What training again has changed: in a comparison made here, or between two runs."""
