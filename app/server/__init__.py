"""How the dashboard is served, set up and signed in to."""
