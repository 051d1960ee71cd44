"""The canonical text of an answer: one spelling for the many ways in which LaTeX, Unicode and plain text write it."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rewards.extraction import group_end

_UNICODE = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/",
    "∕": "/", "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^\circ ", "º": r"^\circ ", "±": r"\pm ",
    "∓": r"\mp ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ",
    "σ": r"\sigma ", "φ": r"\phi ", "ω": r"\omega ", "ℝ": r"\mathbb{R}", "⟨": r"\langle ", "⟩": r"\rangle ",
    "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
    "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}", "⁰": "^{0}", "¹": "^{1}", "²": "^{2}", "³": "^{3}", "⁴": "^{4}",
    "⁵": "^{5}", "⁶": "^{6}", "⁷": "^{7}", "⁸": "^{8}", "⁹": "^{9}", "…": r"\ldots ", "’": "'", "′": "'",
    "，": ",", "；": ";", "：": ":", "（": "(", "）": ")", "≦": r"\le ", "≧": r"\ge ", "∖": r"\setminus ",
    "Ω": r"\Omega ", "∧": r"\land ", "∨": r"\lor ", "∠": r"\angle ",
    "\u2009": " ", "\u202f": " ", "\xa0": " ",
}  # fmt: skip
_TRANSLATION = str.maketrans(_UNICODE)
_SUBSCRIPTS = str.maketrans({chr(0x2080 + d): f"_{{{d}}}" for d in range(10)})

_VECTOR = r"\\(?:mathbf|boldsymbol|bm|vec|hat|widehat|overrightarrow)"
_TEXT_STYLE = "text(?:rm|bf|it|tt|sf|sc|normal|up)|emph|math(?:rm|it|sf|tt|up)"
# The letters of number sets and unit vectors keep a mark, so that they differ from variables of the same letter.
_SPECIAL = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r"\\(?:mathbb|Bbb)\s*(?:\{\s*([RQZNC])\s*\}|([RQZNC])(?![a-zA-Z]))", r"\\mathbb{\1\2}"),
    (r"\\(?:mathbf|bf)\s*(?:\{\s*([RQZN])\s*\}|([RQZN])(?![a-zA-Z]))", r"\\mathbb{\1\2}"),
    (rf"{_VECTOR}\s*\{{\s*{_VECTOR}\s*\{{\s*\\?([ijk])(?:math)?\s*\}}\s*\}}", r"\\hat{\1}"),
    (rf"{_VECTOR}(?:\s*\{{\s*\\?([ijk])(?:math)?\s*\}}|\s+\\?([ijk])(?:math)?(?![a-zA-Z]))", r"\\hat{\1\2}"),
)]  # fmt: skip
# Rewritten in this order; each pattern is linear in the length of the text.
_REWRITES = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r"\\(?:begin|end)\s*\{(?:equation|align|aligned|gather|gathered)\*?\}", " "),
    (r"\{\s*,\s*\}|\\mathpunct\{,\}|\{\s*\\text\{,\}\s*\}|\\text\{,\}", ","),
    (r"\{\s*\\rm(?![a-zA-Z])\s*([^{}\\]*)\}", r"\\text{\1}"),
    (r"\\(?:bf|it|rm|sf|tt|em|boldmath)(?![a-zA-Z])\s*(?!\{)", ""),
    (r"\\text\s*\{\s*\}|(?<=\d)\{\s*\}|(?<!\\)\\$", " "),
    (r"\\([pb]?mod)\s*([0-9a-z])", r"\\\1{\2}"),
    (r"(?<!\\)\\\\(?=(?:[dt]?frac|sqrt|pi|cdot|times|text|left|right)(?![a-zA-Z]))", r"\\"),
    (r"\\(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![a-zA-Z])", ""),
    (r"\\(?:mathrm|mathup|operatorname)\s*\{\s*(e|i|\\pi)\s*\}", r"{\1}"),
    (r"(?<=\.)(\d*)\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?", r"\1\\overline{\2\3\4}"),
    (r"(?<=\.)(\d*)\\(?:dot|bar|overline)\s*(?:\{(\d+)\}|(\d))", r"\1\\overline{\2\3}"),
    (r"\.\.\.|\\(?:cdots|dots[a-z]?)(?![a-zA-Z])", r"\\ldots "),
    (r"(?<=\d\.)(\d*?)(\d{1,2}?)\2{2,}\s*\\ldots", r"\1\\overline{\2}"),
    (r"(?<=\d\.)(\d*?)(\d{3,9}?)\2+\s*\\ldots", r"\1\\overline{\2}"),
    (r"(?<=\d\.)(\d*)\((\d+)\)", r"\1\\overline{\2}"),
    (r"(?<!\\)\\!\s*", ""),
    (r"(?<=\d)\s*(?:\\[,;:> ]|~)\s*(?=\d{3}(?!\d))", ","),
    (r"\\(?:left|right|[bB]igg?[lr]?|middle)(?![a-zA-Z])\s*\.?(?=[\\()\[\]{}|.<>])\.?", ""),
    (r"\\(?:left|right)\.", ""),
    (r"\\(?:(?:display|text|script)style|limits|nolimits|boldmath|allowbreak|nonumber)(?![a-zA-Z])", ""),
    (r"(?<!\\)\\(?:quad|qquad|hspace\{[^{}]*\}|,|;|:|>| |\n)|~", " "),
    (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
    (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
    (rf"\\(?:[mh]box|{_TEXT_STYLE}|operatorname\*?|rm|bf|it)\s*\{{", r"\\text{"),
    (r"\\(?:cdotp|cdot|times|ast)(?![a-zA-Z])|(?<!\*)\*(?!\*)", r"\\cdot "),
    (r"\*\*", "^"),
    (r"\\div(?![a-zA-Z])", "/"),
    (r"\\leq(?:slant|q)?(?![a-zA-Z])|<=", r"\\le "),
    (r"\\geq(?:slant|q)?(?![a-zA-Z])|>=", r"\\ge "),
    (r"\\neq(?![a-zA-Z])|\\not\s*=|!=(?!=)", r"\\ne "),
    (r"\\(?:smallsetminus|backslash)(?![a-zA-Z])", r"\\setminus "),
    (r"\\lt(?![a-zA-Z])", "<"),
    (r"\\gt(?![a-zA-Z])", ">"),
    (r"\\lbrace(?![a-zA-Z])", r"\\{"),
    (r"\\rbrace(?![a-zA-Z])", r"\\}"),
    (r"\\(?:lbrack)(?![a-zA-Z])", "["),
    (r"\\(?:rbrack)(?![a-zA-Z])", "]"),
    (r"\\(?:varnothing|O|empty)(?![a-zA-Z])", r"\\emptyset"),
    (r"\\colon(?![a-zA-Z])", ":"),
    (r"(?:\{\s*\})?\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z])|\{\s*o\s*\})", r"^\\circ "),
    (r"\\degrees?(?![a-zA-Z])|\s*\\text\s*\{\s*degrees?\s*\}", r"^\\circ "),
    (r"\\lvert|\\rvert|\\vert|\\mid(?![a-zA-Z])", "|"),
    (r"\\(?:infin|infinity)(?![a-zA-Z])|\binfinity\b|\binf\b|\boo\b", r"\\infty "),
    (r"(?<![a-zA-Z\\])sqrt\s*(?=[({\d])", r"\\sqrt"),
    (r"(?<![a-zA-Z\\])pi(?![a-zA-Z])", r"\\pi "),
    (r"(?<![a-zA-Z\\{])((?:arc)?(?:sin|cos|tan|cot|sec|csc)|(?:sin|cos|tan)h|ln|lg|log|exp)(?=[ ({\d\\^_])", r"\\\1"),
    (r"\\text\{([a-zA-Z. ]+)\^ ?\{? ?(\d) ?\}? ?\}", r"\\text{\1}^{\2}"),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\\sqrt\s*(\d|[a-zA-Z])", r"\\sqrt{\1}"),
    (r"([\^_])\s*\(([^()]*)\)", r"\1{\2}"),
    (r"([\^_])\s*([A-Za-z0-9])", r"\1{\2}"),
    (r"\}\{\s*\\,?\s*\}", "}"),
    (r"(?<![a-zA-Z])(?:\{ ?\} ?)?(?:_\{(\d+)\}|\^\{(\d+)\}) ?C ?_\{(\d+)\}", r"\\binom{\1\2}{\3}"),
    (r"(?<![a-zA-Z])C ?_\{(\d+)\} ?\^\{(\d+)\}", r"\\binom{\1}{\2}"),
)]  # fmt: skip
_ROOT = re.compile(r"√ ?(\d+(?:\.\d+)?|[a-zA-Z]|\([^()]*\))")
_LOOKS = re.compile(
    r"\\(?:mathbf|boldsymbol|bm|pmb|vec|mathcal|mathnormal|ensuremath|mathop|mathord|underline|boxed|fbox"
    r"|(?:text)?color\s*\{[a-zA-Z]*\})\s*\{"
)
_LONG_CUT = re.compile(r"(-?\d*\.\d{9,}) ?\\ldots")  # so many digits stand for the number that they cut
_MARKED = re.compile(r"\\text ?\{")
_LONGEST_KEPT = 2000  # characters; longer texts are not cached
_DIGITS = re.compile(r"\s*[-+]?[0-9]+\s*")
_SIMPLE = re.compile(r"[A-Za-z0-9]")
_INFIX = re.compile(r"\\(choose|over)(?![a-zA-Z])")
_EMPHASIS = re.compile(r"\s*(\*\*\*?|__|\*)(?!\*)(.*[^*])\1[.,;:]?\s*", re.DOTALL)
_SPACES = re.compile(r"\s+")
_FRAC = re.compile(r"\\(frac|binom)\s*")
_DISPLAY = re.compile(r"^\s*(?:\$\$?|\\\(|\\\[)(.*?)(?:\$\$?|\\\)|\\\])\s*[.,;]?\s*$", re.DOTALL)
_BOX = re.compile(r"^\s*\\(?:boxed|fbox)\s*\{")


def canonical(text: str) -> str:
    """Return `text` in one spelling. Two answers with equal canonical texts are the same answer."""
    if len(text) > _LONGEST_KEPT and _DIGITS.fullmatch(text):
        return text.strip()
    return _canonical(text) if len(text) <= _LONGEST_KEPT else _canonical.__wrapped__(text)


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    text = _ROOT.sub(lambda m: f"\\sqrt{{{m.group(1).strip('()')}}}", text)
    text = unicodedata.normalize("NFC", text.translate(_TRANSLATION).translate(_SUBSCRIPTS)).strip()
    text = _without_delimiters(text)
    # A dollar sign delimits mathematics, unless it is escaped or the whole text is an amount of money such as $5.
    if re.fullmatch(r"-?\$[\d,. ]*\d", text):
        text = "\\" + text if text[0] == "$" else "-\\$" + text[2:]
    text = re.sub(r"(?<!\\)\$|(?<!\\)\\[()\[\]]", " ", text)
    for pattern, replacement in _SPECIAL:
        text = pattern.sub(replacement, text)
    text = _unwrapped(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _with_braced_fractions(_without_infix(text))
    text = _SPACES.sub(" ", text).strip()
    if (
        (match := _MARKED.match(text))
        and group_end(text, match.end()) == len(text) - 1
        and re.search(r"[\\^_]", text[match.end() :])
    ):
        text = text[match.end() : -1].strip()  # mathematics that is marked as text
    while text and text[-1] in ".,;:" and not text.endswith("\\:"):
        text = text[:-1].rstrip()
    cut = _LONG_CUT.fullmatch(text)
    return cut.group(1) if cut else text


def _unwrapped(text: str) -> str:
    r"""Return `text` without commands that only say how their argument looks: `\mathbf{73}`, `\color{red}{5}`."""
    parts, at = [], 0
    for match in _LOOKS.finditer(text):
        end = None if match.start() < at else group_end(text, match.end())
        if end is None:
            continue
        inner = _unwrapped(text[match.end() : end])
        parts += [text[at : match.start()], inner if _SIMPLE.fullmatch(inner) or match.start() == 0 else f"{{{inner}}}"]
        at = end + 1
    return "".join(parts) + text[at:]


def _without_infix(text: str) -> str:
    r"""Write `{n \choose k}` as `\binom{n}{k}` and `{a \over b}` as `\frac{a}{b}`."""
    for match in list(_INFIX.finditer(text))[::-1][:20]:
        start, depth = match.start() - 1, 0
        while start >= 0 and depth >= 0:
            depth += {"}": 1, "{": -1}.get(text[start], 0)
            start -= 1
        begin = start + 1 if depth < 0 else -1
        end = group_end(text, match.end()) if depth < 0 else len(text)
        if end is None:
            continue
        command = "\\binom" if match.group(1) == "choose" else "\\frac"
        top, bottom = text[begin + 1 : match.start()].strip(), text[match.end() : end].strip()
        text = f"{text[: max(begin, 0)]}{command}{{{top}}}{{{bottom}}}{text[end + 1 :]}"
    return text


def _without_delimiters(text: str) -> str:
    for _ in range(4):
        before = text
        if (match := _EMPHASIS.fullmatch(text)) and match.group(1) not in match.group(2):
            text = match.group(2).strip()
        if match := _DISPLAY.match(text):
            text = match.group(1).strip()
        if (match := _BOX.match(text)) and (end := group_end(text, match.end())) is not None:
            rest = text[end + 1 :].strip(" .,;$")
            text = text[match.end() : end].strip() if not rest else text
        if text == before:
            break
    return text


def _with_braced_fractions(text: str) -> str:
    r"""Write `\frac12` and `\frac1{2}` as `\frac{1}{2}`, and `\binom n2` as `\binom{n}{2}`."""
    parts, at = [], 0
    for match in _FRAC.finditer(text):
        if match.start() < at:
            continue
        place, arguments = match.end(), []
        while len(arguments) < 2 and place < len(text):
            if text[place] == " ":
                place += 1
                continue
            if text[place] == "{":
                break_at = place + 1
                arguments.append(None)
                end = group_end(text, break_at)
                if end is None:
                    break
                arguments[-1] = text[break_at:end]
                place = end + 1
            elif text[place] == "\\":
                command = re.compile(r"\\[a-zA-Z]+").match(text, place)
                if command is None:
                    break
                arguments.append(command.group())
                place = command.end()
            else:
                arguments.append(text[place])
                place += 1
        if len(arguments) < 2 or None in arguments:
            continue
        inner = [_with_braced_fractions(a) for a in arguments]
        parts.append(text[at : match.start()] + f"\\{match.group(1)}{{{inner[0].strip()}}}{{{inner[1].strip()}}}")
        at = place
    return "".join(parts) + text[at:]
