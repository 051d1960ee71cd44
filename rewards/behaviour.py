"""Behaviour flags of a response, logged beside every reward."""


def uses_code(text: str) -> bool:
    """Code reasoning as the paper detects it: the response contains the string "python" (2506.10947, section 4)."""
    return "python" in text
