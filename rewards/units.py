"""Units at the end of an answer, and currencies at its beginning."""

from __future__ import annotations

import re

# Spellings of the units that answers carry, by the name they are compared under; "" where the word says nothing.
_SPELLINGS = {
    "%": "% percent percents percentage",
    "degree": "degree degrees deg",
    "radian": "radian radians rad",
    "dollar": "dollar dollars usd",
    "cent": "cent cents ¢",
    "inch": "inch inches in",
    "foot": "foot feet ft",
    "yard": "yard yards yd yds",
    "mile": "mile miles mi",
    "millimetre": "millimeter millimeters millimetre millimetres mm",
    "centimetre": "centimeter centimeters centimetre centimetres cm cms",
    "metre": "meter meters metre metres m",
    "kilometre": "kilometer kilometers kilometre kilometres km kms",
    "second": "second seconds sec secs s",
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs h",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "gram": "gram grams g",
    "kilogram": "kilogram kilograms kg kgs",
    "pound": "pound pounds lb lbs",
    "ounce": "ounce ounces oz",
    "litre": "liter liters litre litres l",
    "millilitre": "milliliter milliliters ml",
    "gallon": "gallon gallons gal",
    "mph": "mph",
    "": "unit units",
}
_UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
_NOT_UNITS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt", "pi", "mod", "and", "or", "if", "for", "to",
    "base", "where", "when", "with", "is", "choose", "am", "pm", "a.m.", "p.m.", "a.m", "p.m", "i",
}  # fmt: skip
_VALUE = r"(.*[\d)}\]!]|.*\\pi|.*\\infty|.*[a-zA-Z]) ?"
_TAIL = r"(?:\^ ?\{? ?([23]) ?\}?)?"
_IN_TEXT = re.compile(rf"{_VALUE}((?:\\text ?\{{[^{{}}]*\}} ?(?:/ ?)?)+){_TAIL} ?")
_IN_WORDS = re.compile(rf"(.*[\d)}}\]]|.*\\pi) ?(?<![a-zA-Z\\])([a-zA-Z][a-zA-Z./ ]*){_TAIL} ?")
_PERCENT = re.compile(r"(.+?) ?(?:\\%|%)(?:\}| )*")
_DEGREE = re.compile(r"(.+?) ?\^\\circ ?(?:\\text ?\{ ?[CF]? ?\}|[CF])?")
_CURRENCY = re.compile(r"(-?) ?(?:\\text ?\{ ?)?(?:\\\$|\\pounds|£|€|\$)(?: ?\})? ?(.+)")


def split_unit(text: str) -> tuple[str, str] | None:
    """(value, unit) of an answer with a unit; the unit is "" where it is a plain noun; None where there is none."""
    if match := _CURRENCY.fullmatch(text):
        rest = split_unit(match.group(2))
        return match.group(1) + (rest[0] if rest else match.group(2)), "dollar"
    if (match := _PERCENT.fullmatch(text)) and match.group(1):
        return match.group(1), "%"
    if match := _DEGREE.fullmatch(text):
        return match.group(1), "degree"
    if (match := _IN_TEXT.fullmatch(text)) and _value_like(match.group(1)):
        words = re.sub(r"\\text ?\{([^{}]*)\}", r" \1 ", match.group(2))
        return _named(match.group(1), words, match.group(3))
    if match := _IN_WORDS.fullmatch(text):
        words = match.group(2)
        # Letters right behind a number are variables unless they spell a known unit.
        if all(w in _UNITS or w in _POWERS or len(w) > 2 for w in re.split(r"[ /]+", words.strip()) if w):
            known = any(w in _UNITS and len(w) > 1 for w in re.split(r"[ /]+", words.strip()))
            return _named(match.group(1), words, match.group(3)) if known or " " in text else None
    return None


def _value_like(value: str) -> bool:
    return bool(re.search(r"\d|\\pi|\\infty|[a-zA-Z]", value)) and value.count("{") == value.count("}")


def _named(value: str, words: str, power: str | None) -> tuple[str, str] | None:
    parts = [w.strip(".,()") for w in re.split(r"[ ]+", words.lower().replace("/", " per ").strip()) if w.strip(".,()")]
    if not parts:
        return value.strip(), ""
    if _NOT_UNITS & set(words.lower().split()) or re.search(r"[\d=<>+]", words):
        return None
    return value.strip(), _canonical_unit(parts, int(power) if power else 1)


def _canonical_unit(parts: list[str], power: int) -> str:
    """`cubic feet` as foot^3; "" for a noun that is no unit of measurement."""
    names: list[str] = []
    for part in parts:
        if part in _POWERS:
            power = _POWERS[part]
        elif part == "per":
            names.append("per")
        elif part in _UNITS:
            names.append(_UNITS[part])
        elif len(names) == 0 or names[-1] == "per":
            names.append("?")
    name = " ".join(n for n in names if n)
    if "?" in name or not name or name == "per":
        return ""
    return f"{name}^{power}" if power > 1 else name
