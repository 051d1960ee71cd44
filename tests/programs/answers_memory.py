"""Write or read 5,000 × 16 answers, and print by how many MB the peak of memory grew, and how many answers were read.

Usage: python tests/programs/answers_memory.py RANK WORLD_SIZE write|read DIRECTORY
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from helpers.made_up_answers import MADE, evaluated
from sweep.run.answer_files import open_answers
from sweep.run.answer_manifest import Question
from sweep.run.answer_reading import answers_without_texts
from sweep.run.answers import Answer

PROBLEMS, SAMPLES, CHUNK = 5000, 16, 2000


def long_answer(problem: str, sample: int) -> Answer:
    text = f"To solve problem {problem}, {sample} steps are needed. " * 20
    return Answer(
        problem, sample, text, f"{sample}/7", True, "compared", "boxed", f"{sample % 3}", ("code",), 250, "eos"
    )


def write(directory: Path) -> None:
    questions = [Question(id=f"p{n}", question="?", golds=("1",)) for n in range(PROBLEMS)]
    with open_answers(directory, evaluated(), questions, SAMPLES, lambda text: ()) as writer:
        missing = writer.missing
        for start in range(0, len(missing), CHUNK):
            writer.write([long_answer(*pair) for pair in missing[start : start + CHUNK]], MADE)
        writer.finish()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    before = peak()
    found = {"write": write, "read": answers_without_texts}[sys.argv[3]](Path(sys.argv[4]))
    print((peak() - before) // 1024, len(found or ()))
