"""An evaluation with answers that no model gave: the same ones for the same problem and sample."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sweep.run.answer_files import AnswerWriter, open_answers
from sweep.run.answer_manifest import Evaluated, Made, Manifest, Question, Weights
from sweep.run.answers import Answer

MADE = Made(engine="transformers 5.19", dtype="float32", hardware="cpu", code="0a1b2c")
QUESTIONS = [Question(id=f"p{n}", question=f"{n} + 1 = ?", golds=(str(n + 1),)) for n in range(6)]
DETECTORS = {"code": "mentions python"}


def evaluated(weights: str = "w1", detectors: dict | None = None, **identity) -> Evaluated:
    return Evaluated(
        benchmark="sums",
        weights=Weights(name=f"cell@{weights}", hash=weights, step=3),
        identity={"temperature": 1.0, "stops": ("\n",), **identity},
        detectors=detectors or DETECTORS,
    )


def code(text: str) -> Iterable[str]:
    return ["code"] if "python" in text else []


def answer(problem: str, sample: int, detect=code) -> Answer:
    number = int(problem[1:])
    text = f"```python\nprint({number})``` é {sample}" if sample % 2 else f"It is {number + 1}."
    found = None if sample == 3 else str(number + 1)
    return Answer(
        problem=problem,
        sample=sample,
        text=text,
        answer=found,
        correct=sample % 2 == 0,
        outcome="compared" if found else "none",
        strategy="last" if found else None,
        vote=found,
        behaviours=tuple(sorted(detect(text))),
        tokens=len(text),
        finish="eos" if sample else "length",
    )


def opened(directory: Path, problems: int = 3, samples: int = 2, find=code, **of):
    return open_answers(directory, evaluated(**of), QUESTIONS[:problems], samples, find)


def write_missing(writer: AnswerWriter, chunk: int = 4, made: Made = MADE, detect=code) -> int:
    """Answer what is missing, and return how many answers that were."""
    missing = writer.missing
    for start in range(0, len(missing), chunk):
        writer.write([answer(*pair, detect) for pair in missing[start : start + chunk]], made)
    return len(missing)


def evaluate(directory: Path, problems: int = 3, samples: int = 2, find=code, made: Made = MADE, **of) -> Manifest:
    with opened(directory, problems, samples, find, **of) as writer:
        write_missing(writer, made=made, detect=find)
        return writer.finish()
