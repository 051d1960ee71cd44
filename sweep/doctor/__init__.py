"""What would run here and what would not, what is damaged on disk, and the remedy of each."""
