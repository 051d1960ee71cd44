"""Read units at the end of an answer, currencies at its beginning, and words that scale: million, dozen."""

from __future__ import annotations

import re

from rewards.numerals import NUMBER_WORDS, SCALES

# Spellings of units, by the name under which they are compared; "" for words without meaning, such as "units".
_SPELLINGS = {
    "radian": "radian radians rad",
    "dollar": "dollar dollars usd",
    "cent": "cent cents ¢",
    "euro": "euro euros",
    "inch": "inch inches in",
    "foot": "foot feet ft",
    "yard": "yard yards yd yds",
    "mile": "mile miles mi",
    "nanometre": "nanometer nanometers nanometre nanometres nm",
    "micrometre": "micrometer micrometers micrometre micrometres um",
    "millimetre": "millimeter millimeters millimetre millimetres mm",
    "centimetre": "centimeter centimeters centimetre centimetres cm cms",
    "decimetre": "decimeter decimeters decimetre decimetres dm",
    "metre": "meter meters metre metres m",
    "kilometre": "kilometer kilometers kilometre kilometres km kms",
    "millisecond": "millisecond milliseconds ms",
    "second": "second seconds sec secs s",
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs h",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "milligram": "milligram milligrams mg",
    "gram": "gram grams g",
    "kilogram": "kilogram kilograms kg kgs",
    "tonne": "tonne tonnes",
    "ton": "ton tons",
    "pound": "pound pounds lb lbs",
    "ounce": "ounce ounces oz",
    "litre": "liter liters litre litres l",
    "millilitre": "milliliter milliliters millilitre millilitres ml",
    "gallon": "gallon gallons gal",
    "acre": "acre acres",
    "hectare": "hectare hectares",
    "joule": "joule joules j",
    "kilojoule": "kilojoule kilojoules kj",
    "calorie": "calorie calories cal",
    "newton": "newton newtons n",
    "kilonewton": "kilonewton kilonewtons kn",
    "watt": "watt watts w",
    "kilowatt": "kilowatt kilowatts kw",
    "volt": "volt volts v",
    "ampere": "ampere amperes amp amps a",
    "ohm": "ohm ohms",
    "coulomb": "coulomb coulombs c",
    "farad": "farad farads f",
    "tesla": "tesla teslas t",
    "milliampere": "ma",
    "millivolt": "mv",
    "kilovolt": "kv",
    "kilowatt hour": "kwh",
    "electronvolt": "ev",
    "decibel": "decibel decibels db",
    "megapascal": "mpa",
    "kilohertz": "khz",
    "megahertz": "mhz",
    "gigahertz": "ghz",
    "pascal": "pascal pascals pa",
    "kilopascal": "kilopascal kilopascals kpa",
    "hertz": "hertz hz",
    "kelvin": "kelvin kelvins k",
    "mole": "mole moles mol",
    "revolution": "revolution revolutions rev revs",
    "": "unit units",
}
_UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_COMPOUND = {
    "mph": "mile per hour", "kph": "km per hour", "kmh": "km per hour", "kmph": "km per hour", "fps": "foot per second",
    "mpg": "mile per gallon", "rpm": "revolution per minute",
}  # fmt: skip
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_BEHIND = {"squared": 2, "cubed": 3}
_SCALES = SCALES | {word + "s": factor for word, factor in SCALES.items()}
_PARTS = "half third quarter fourth fifth sixth seventh eighth ninth tenth hundredth thousandth"
# Words that are not units: after a number they make it a part of a statement.
_NOT_UNITS = {
    *(NUMBER_WORDS - set(SCALES)), *_PARTS.split(), *(word + "s" for word in _PARTS.split()), "halves",
    "twice", "thrice", "double", "triple",
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt", "pi", "mod", "and", "or", "if", "for", "to",
    "base", "where", "when", "with", "is", "choose", "am", "pm", "a.m.", "p.m.", "a.m", "p.m", "i", "e", "times",
    "plus", "minus", "divided", "multiplied", "than", "at", "least", "most", "more", "less", "fewer", "over", "under",
    "not", "no", "none", "above", "below", "factorial", "root", "power", "modulo", "by", "into", "except", "but",
    "percent", "nor", "non", "negative", "false", "true", "wrong", "between", "as", "are", "does", "undefined",
    "infinity", "remainder", "inverse", "reciprocal", "squares", "cubes", "imaginary", "complex", "rational", "prime",
    "odd", "even", "positive", "nonnegative", "integer", "integers", "multiple", "multiples", "divisible", "mean",
    "answer", "solution", "equals", "equal", "greater", "smaller", "larger", "exactly", "all", "any", "each", "every",
    "other", "only", "otherwise", "unknown", "impossible", "never", "always",
}  # fmt: skip
_MARKED = re.compile(r"\\text ?\{((?:[^{}]|\{[^{}]*\})*)\}")
_EXPONENT = r"(?:\^\{-?\d\}|\^-?\d)"
_IN_TEXT = re.compile(
    rf"(.*?[\d)}}\]!a-zA-Z|]) ?"
    rf"((?:{_MARKED.pattern}|\\Omega(?![a-z]))(?:{_MARKED.pattern}|{_EXPONENT}|\\Omega|\\cdot|[/ ])*)"
)
_IN_WORDS = re.compile(rf"(.*[\d)}}\]!]|.*\\pi) ?(?<![a-zA-Z\\])([a-zA-Z¢](?:[a-zA-Z./ ]|\\cdot|{_EXPONENT})*)")
_UNIT_FRACTION = re.compile(r"\\frac\{(\\text ?\{[^{}]*\}(?: ?\^ ?\{\d\})?)\}\{(\\text ?\{[^{}]*\}(?: ?\^ ?\{\d\})?)\}")
_UNIT_TOKEN = re.compile(r"\^\{?(-?\d)\}?|([a-z¢]+)|(/)")
_BARE_LETTERS = set("JNWVKLmsghl")  # the single letters that may be units without a mark as text
_PERCENT = re.compile(r"(.+?) ?(?:\\%|%|(?:\\text ?\{ ?)?(?<![a-z])(?:percent|per cent)(?: ?\})?)(?:\}| )*")
_DEGREE = re.compile(
    r"(.+?) ?(?:\^\\circ ?(?:\\text ?\{ ?([CF])? ?\}|([CF]))?|(?:\\text ?\{ ?)?(?<![a-z])deg(?:rees?)?(?: ?\})?)"
)
_MINUTES = re.compile(r"(\d+) ?\^\\circ ?(\d+) ?'(?: ?(\d+) ?'')?")
_ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_CURRENCY = re.compile(r"(-?) ?(?:\\text ?\{ ?)?(?:\\\$|\\pounds|£|€|\$)(?: ?\})? ?(.+)")


def split_unit(text: str) -> tuple[str, str] | None:
    r"""Return (value, unit) of an answer with a unit, or None if it has none. The unit of a plain noun is "".

    A word that scales goes into the value: `6 million dollars` is (`(6)\cdot 1000000`, `dollar`).
    """
    text = _UNIT_FRACTION.sub(r"\1 / \2", text)
    if match := _CURRENCY.fullmatch(text):
        value, unit = split_unit(match.group(2)) or (match.group(2), "")
        return match.group(1) + value, f"dollar {unit}" if re.fullmatch(r"\w+\^-1", unit) else "dollar"  # $15 per hour
    if (match := _PERCENT.fullmatch(text)) and match.group(1):
        return match.group(1), "%"
    if match := _MINUTES.fullmatch(text):
        degrees, minutes, seconds = match.groups()
        return f"{degrees}+{minutes}/60+{seconds or 0}/3600", "degree"
    if match := _DEGREE.fullmatch(text):  # a sine of degrees is a number
        angle = not _ANGLE_FUNCTION.search(match.group(1))
        scale = match.group(2) or match.group(3)
        unit = f"degree {scale}" if scale else "degree"
        return (match.group(1).replace(r"^\circ", ""), unit) if angle else None
    if (match := _IN_TEXT.fullmatch(text)) and _value_like(match.group(1)):
        return _named(match.group(1), _MARKED.sub(r" \1 ", match.group(2)), marked=True)
    if match := _IN_WORDS.fullmatch(text):
        separated = text[len(match.group(1)) : match.start(2)] == " "
        letters = re.search(r"[a-zA-Z]", re.sub(r"\\(?:frac|sqrt|pi|cdot)(?![a-z])", "", match.group(1)))
        if not letters or (separated and len(match.group(2)) > 1):  # the s of 80n + 5 s is a variable
            return _named(match.group(1), match.group(2), marked=False, separated=separated)
    return None


def _value_like(value: str) -> bool:
    return bool(re.search(r"\d|\\pi|\\infty|[a-zA-Z]", value)) and value.count("{") == value.count("}")


def _named(value: str, words: str, marked: bool, separated: bool = True) -> tuple[str, str] | None:
    plain = re.sub(r"\\Omega", " ohm ", words)
    if _NOT_UNITS & set(re.sub(r"[.,()]", " ", plain.lower()).split()) or re.search(r"[=<>+|?*]", plain):
        return None
    tokens = [m.groups() for m in _UNIT_TOKEN.finditer(re.sub(r"\\cdot|\.", " ", plain.lower()))]
    names = [word for _, word, _ in tokens if word]
    if not marked and not all(map(_is_unit_word, re.findall(r"[a-zA-Z¢]+", plain.replace(r"\cdot", " ")))):
        return None
    # Letters right behind a number are variables unless they spell a known unit.
    if not (marked or separated or any(n == "¢" or (len(n) > 1 and n in {*_UNITS, *_COMPOUND}) for n in names)):
        return None
    if re.search(r"\d", _UNIT_TOKEN.sub("", plain.lower())):
        return None
    if names[:1] and names[0] in _POWERS_BEHIND:
        return None  # 5 squared is 25
    factor = 1
    while names and names[0] in _SCALES:
        factor *= _SCALES[names.pop(0)]
        tokens = tokens[1:]
        if tokens and tokens[0][0]:
            return None  # a power of a million
    if len(names) == 1 and len(names[0]) == 1 and names[0] not in _UNITS:
        return None  # a single letter in text mode is a letter, not a unit
    unit = _canonical_unit(tokens)
    if not unit and not re.search(r"\d|\\pi", value):
        return None  # `n odd` is a statement, not n with a unit
    scaled = value.strip() if factor == 1 else f"({value.strip()})\\cdot {factor}"
    return scaled, unit


def _is_unit_word(word: str) -> bool:
    """Return True if a word that is not marked as text may be a unit or a noun, not a product of variables."""
    lower = word.lower()
    if len(word) == 1:
        return word == "¢" or word in _BARE_LETTERS
    return lower in _UNITS or lower in _COMPOUND or lower in _POWERS or lower in _POWERS_BEHIND or len(word) > 2


def _canonical_unit(tokens: list[tuple[str, str, str]]) -> str:
    """Return `cubic feet` as foot^3 and m/s^2 as metre second^-2; "" for a noun that is not a unit of measurement."""
    powers: dict[str, int] = {}
    sign, power, last, written = 1, 1, "", 1
    expanded = []
    for token in tokens:
        words = _COMPOUND.get(token[1] or "", "").split()
        expanded += [("", word, "") for word in words] or [token]
    for exponent, word, slash in expanded:
        if slash or word == "per":
            sign = -1
        elif word in _POWERS:
            power = _POWERS[word]
        elif (exponent or word in _POWERS_BEHIND) and last:
            raised = int(exponent) if exponent else _POWERS_BEHIND[word]
            powers[last] += written * (raised - 1)
        elif word in _UNITS:
            last, written = _UNITS[word], sign
            if last:
                powers[last] = powers.get(last, 0) + sign * power
            power = 1
        elif not powers:
            return ""
    return " ".join(name if n == 1 else f"{name}^{n}" for name, n in sorted(powers.items()) if n)
