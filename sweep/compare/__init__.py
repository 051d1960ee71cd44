"""What the runs of a sweep wrote, side by side. Imports no trainer."""
