"""Made-up answers for tests of scores: only what a test is about has to be said."""

from __future__ import annotations

from sweep.run.answers import Answer


def answered(problem: str, sample: int = 0, correct: bool = False, **fields) -> Answer:
    """Return an answer that ended by itself, with its verdict; its vote is its answer."""
    answer = fields.pop("answer", "1" if correct else "0")
    usual = {
        "text": "",
        "answer": answer,
        "outcome": "right" if correct else "wrong",
        "strategy": None if answer is None else "boxed",
        "vote": answer,
        "behaviours": (),
        "tokens": 10,
        "finish": "eos",
    }
    return Answer(problem=problem, sample=sample, correct=correct, **{**usual, **fields})


def verdicts(**problems: str) -> dict[str, list[Answer]]:
    """Return answers by problem: "R" is a right one, "w" a wrong one; with a "c" before it, it has code."""
    found = {}
    for problem, letters in problems.items():
        marks = letters.replace("c", "")
        coded = [letters[place - 1] == "c" for place, letter in enumerate(letters) if letter != "c"]
        found[problem] = [
            answered(problem, sample, mark == "R", behaviours=("code",) if code else ())
            for sample, (mark, code) in enumerate(zip(marks, coded, strict=True))
        ]
    return found


def voting(*votes: str | None, right: str = "1") -> list[Answer]:
    """Return the answers to one problem that give these votes."""
    return [answered("p", sample, vote == right, answer=vote) for sample, vote in enumerate(votes)]
