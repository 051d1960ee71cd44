"""Parse the expression that LaTeX writes. A text that is not wholly understood is refused, so that nothing is lost."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from rewards.exact import integer
from rewards.expression import CIRCLE, EULER, IMAGINARY, TRIGONOMETRIC, Call, Num, Sym, Tree

DEEPEST = 40  # levels of brackets, exponents and function arguments
MOST_TOKENS = 3000

_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(\\[a-zA-Z]+|\\.|.))", re.DOTALL)
_DIGITS = "0123456789"
_TEXT = re.compile(r"\\text ?\{ ?([a-zA-Z]+) ?\}")
_GROUPS = {"(": ")", "[": "]", "{": "}"}
_ROUNDED = {r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_INVERSE = tuple("arc" + name for name in TRIGONOMETRIC)
_HYPERBOLIC = ("sinh", "cosh", "tanh", "coth")
_ONE_ARGUMENT = {*TRIGONOMETRIC, *_INVERSE, *_HYPERBOLIC, "ln", "log", "lg", "exp"}
_SEVERAL = {"max", "min", "gcd", "lcm"}
_ACCENTS = {
    r"\hat",
    r"\widehat",
    r"\bar",
    r"\overline",
    r"\vec",
    r"\overrightarrow",
    r"\tilde",
    r"\angle",
    r"\triangle",
}
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell", "imath", "jmath",
}  # fmt: skip
_ENDS = {")", "]", "}", r"\rfloor", r"\rceil", ",", "+", "-", "/", r"\cdot", "^", "_", "!", "'", "", ";", ":", "="}


class Unparsed(Exception):
    """The text has no symbolic form."""


@lru_cache(maxsize=1024)
def parse(latex: str) -> Tree:
    """Return the tree of canonical LaTeX, with decimals as exact fractions.

    Raises:
        Unparsed: the text, or a part of it, is not an expression that this parser reads.
    """
    return _Parser(_TEXT.sub(_function_or_letter, latex)).whole()


def _function_or_letter(match: re.Match) -> str:
    word = match.group(1)
    if len(word) == 1:
        return f" {word} "
    return f"\\{word} " if word in _ONE_ARGUMENT | _SEVERAL else match.group()


def _times(factors: list[Tree]) -> Tree:
    return factors[0] if len(factors) == 1 else Call("mul", tuple(factors))


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [number or other for number, other in _TOKEN.findall(text) if (number or other).strip()]
        if not self.tokens or len(self.tokens) > MOST_TOKENS:
            raise Unparsed(text[:80])
        self.at, self.depth, self.bars = 0, 0, 0
        self.bound: list[str] = []

    def whole(self) -> Tree:
        tree = self.sum()
        if self.at != len(self.tokens):
            raise Unparsed(self.next)
        return tree

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.next
        if not token or expected not in (None, token):
            raise Unparsed(f"{token} for {expected}")
        self.at += 1
        return token

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unparsed("too deep")
        terms = []
        while not terms or self.next in ("+", "-"):
            negative = False
            if self.next in ("+", "-"):
                negative = self.take() == "-"
                if self.next in ("+", "-"):
                    raise Unparsed("two signs")
            term = self.product()
            terms.append(Call("neg", (term,)) if negative else term)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Call("add", tuple(terms))

    def product(self) -> Tree:
        """Factors side by side bind closer than a slash, as in 1/2x; a sign may follow a multiplication dot.

        The tree is flat, however many factors there are.
        """
        factors, divisors = [self.juxtaposed()], []
        while self.next in ("/", r"\cdot"):
            kind = divisors if self.take() == "/" else factors
            negative = self.next == "-"
            if negative:
                self.take()
            factor = self.juxtaposed()
            kind.append(Call("neg", (factor,)) if negative else factor)
        return Call("div", (_times(factors), _times(divisors))) if divisors else _times(factors)

    def juxtaposed(self) -> Tree:
        factors = [self.power()]
        while self._starts_factor():
            before = self.at
            factor = self.power()
            if isinstance(factor, Num) and self.tokens[before][0] in _DIGITS + ".":
                last = self.tokens[before - 1]
                if last[0] in _DIGITS + "." or (last[0].isalpha() and len(last) == 1):
                    raise Unparsed("a number right behind a number or a letter")
            factors.append(factor)
        return _times(factors)

    def _starts_factor(self) -> bool:
        token = self.next
        if token == "|":
            return self.bars == 0
        return token not in _ENDS and not token.startswith("\\right")

    def power(self) -> Tree:
        base = self.postfixed(self.atom())
        if self.next == "^":
            self.take()
            if self.next == r"\circ":
                self.take()
                return self._after_degrees(Call("degrees", (base,)))
            base = self.postfixed(Call("pow", (base, self.argument())))
            if self.next == "^":
                raise Unparsed("two exponents")
        return base

    def _after_degrees(self, tree: Tree) -> Tree:
        if self.next == "^":
            raise Unparsed("a power of degrees")
        return tree

    def postfixed(self, tree: Tree) -> Tree:
        if self.next == "!":
            self.take()
            name = "factorial"
            if self.next == "!":
                self.take()
                name = "double_factorial"
            if self.next == "!":
                raise Unparsed("!!!")
            return Call(name, (tree,))
        return tree

    def argument(self) -> Tree:
        """Read a group in braces, or a single token."""
        if self.next == "{":
            return self.group()
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unparsed("too deep")
        found = self.atom()
        self.depth -= 1
        return found

    def group(self) -> Tree:
        opening = self.take()
        if opening not in _GROUPS:
            raise Unparsed(opening)
        closing = _GROUPS[opening]
        bars, self.bars = self.bars, 0
        inner = self.sum()
        self.take(closing)
        self.bars = bars
        return inner

    def atom(self) -> Tree:
        token = self.next
        if not token:
            raise Unparsed("ends early")
        if token[0] in _DIGITS or (token[0] == "." and len(token) > 1):
            return self._number()
        if token in _GROUPS:
            return self.group()
        if token == "|":
            self.take()
            self.bars += 1
            inner = self.sum()
            self.take("|")
            self.bars -= 1
            return Call("abs", (inner,))
        if token in _ROUNDED:
            self.take()
            inner = self.sum()
            self.take(_ROUNDED[token])
            return Call(token[2:], (inner,))
        if token[0] == "\\":
            return self._command(self.take()[1:])
        if token.isascii() and token.isalpha():
            return self._letter(self.take())
        raise Unparsed(token)

    def _number(self) -> Tree:
        whole = self.take()
        digits, _, decimals = whole.partition(".")
        value = Num(Fraction(integer(digits + decimals), 10 ** len(decimals)))
        if self.next == "_":
            raise Unparsed("a base")
        # 2\frac{1}{3} is a mixed number if all three are whole numbers and the fraction is proper.
        if "." not in whole and self.tokens[self.at : self.at + 2] == [r"\frac", "{"]:
            top, closed, opened, bottom, end = (self.tokens + [""] * 7)[self.at + 2 : self.at + 7]
            if (closed, opened, end) == ("}", "{", "}") and top.isdecimal() and bottom.isdecimal():
                if integer(top) >= integer(bottom):
                    raise Unparsed("neither a mixed number nor a product")
                self.at += 7
                return Num(value.value + Fraction(integer(top), integer(bottom)))
        return value

    def _letter(self, letter: str) -> Tree:
        if letter in "ei" and self.next not in ("_", "'") and letter not in self.bound:
            return EULER if letter == "e" else IMAGINARY
        name = self._decorated(letter)
        return self._value_of(name) if letter in "fg" else Sym(name)

    def _value_of(self, name: str) -> Tree:
        r"""Read f(x), g(0) and \Gamma(0) as values of functions. With more in the brackets, f may be a factor."""
        if self.next == "(" and self.tokens[self.at + 2 : self.at + 3] == [")"]:
            argument = self.group()
            if isinstance(argument, (Num, Sym)):
                return Call("value:" + name, (argument,))
        return Sym(name)

    def _decorated(self, name: str) -> str:
        """Return the name with the subscript and primes that follow it."""
        while self.next in ("_", "'"):
            if self.take() == "'":
                name += "'"
                continue
            if self.next != "{":
                raise Unparsed("a subscript without braces")
            start, depth = self.at, 0
            while True:
                depth += {"{": 1, "}": -1}.get(self.take(), 0)
                if depth == 0:
                    break
            name += "_" + "".join(self.tokens[start : self.at])
        return name

    def _command(self, name: str) -> Tree:
        if name == "frac":
            return Call("div", (self.group(), self.group()))
        if name == "binom":
            return Call("binomial", (self.group(), self.group()))
        if name == "sqrt":
            index = self.group() if self.next == "[" else Num(Fraction(2))
            return Call("root", (self.argument(), index))
        if name == "pi":
            return CIRCLE
        if name in ("sum", "prod"):
            return self._series(name)
        if name in _ONE_ARGUMENT:
            return self._function(name)
        if name in _SEVERAL:
            return self._several(name)
        if "\\" + name in _ACCENTS:
            return self._accented(name)
        if name in _GREEK:
            return self._value_of(self._decorated("\\" + name))
        raise Unparsed(name)

    def _accented(self, accent: str) -> Tree:
        start = self.at
        if self.next == "{":
            self.group()
        else:
            while len(self.next) == 1 and self.next.isalpha():  # \angle ABC
                self.take()
        inner = "".join(self.tokens[start : self.at]).strip("{}")
        if not re.fullmatch(r"[a-zA-Z]+|\\[a-z]+", inner):
            raise Unparsed(accent)
        return Sym(self._decorated(f"\\{accent} {inner}"))

    def _several(self, name: str) -> Tree:
        if self.next == r"\{":
            self.take()
            closing = r"\}"
        else:
            self.take("(")
            closing = ")"
        found = [self.sum()]
        while self.next == ",":
            self.take()
            found.append(self.sum())
        self.take(closing)
        return Call(name, tuple(found))

    def _function(self, name: str) -> Tree:
        base, power = None, None
        if self.next == "_":
            self.take()
            base = self.argument()
            if name != "log":
                raise Unparsed("a base of " + name)
        if self.next == "^":
            self.take()
            power = self.argument()
        argument = self._function_argument()
        if power == Call("neg", (Num(Fraction(1)),)):
            if name not in TRIGONOMETRIC:
                raise Unparsed("an inverse of " + name)
            return Call("arc" + name, (argument,))
        if name == "exp":
            found = Call("pow", (EULER, argument))
        elif name in ("log", "lg"):
            found = Call("log", (argument, base or Num(Fraction(10))))
        else:
            found = Call(name, (argument,))
        return Call("pow", (found, power)) if power is not None else found

    def _function_argument(self) -> Tree:
        r"""Read `(x+1)`, or the factors up to the next bracket, function or sign: `\sin 2x (1+y)` multiplies by 1+y."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unparsed("too deep")
        if self.next in ("(", "[", "{"):
            found = self.group()
            if self.next == "^" and self.tokens[self.at + 1 : self.at + 2] == [r"\circ"]:
                self.at += 2
                found = Call("degrees", (found,))
        else:
            factors = [self.power()]
            while self._starts_factor() and self.next not in ("(", "[", "|") and not self._at_function():
                factors.append(self.power())
            found = _times(factors)
        self.depth -= 1
        return found

    def _at_function(self) -> bool:
        return self.next[1:] in _ONE_ARGUMENT | _SEVERAL | {"sum", "prod"}

    def _series(self, name: str) -> Tree:
        r"""Read `\sum_{k=a}^{b}` and the product that follows it."""
        self.take("_")
        self.take("{")
        variable = self.take()
        if not (len(variable) == 1 and variable.isalpha()):
            raise Unparsed(variable)
        self.take("=")
        start = self.sum()
        self.take("}")
        self.take("^")
        end = self.argument()
        self.bound.append(variable)  # if the variable is called i or e, it is not the constant within the terms
        terms = self.product()
        self.bound.pop()
        return Call(name, (Sym(variable), start, end, terms))
