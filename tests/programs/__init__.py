"""What tests start in processes of their own. The repository and `tests` are on their path."""
