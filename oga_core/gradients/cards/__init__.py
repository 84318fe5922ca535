"""What a pass does differently where it runs on a graphics card."""
