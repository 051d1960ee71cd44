"""Sample responses: the engines, and what they share."""
