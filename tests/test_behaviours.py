"""Behaviours: what each detector decides, detectors of one's own, and that no text costs more than its bound."""

from __future__ import annotations

import random

import pytest

from rewards.behaviour import repeats_itself
from rewards.behaviours import Behaviours, BehavioursConfig
from rewards.custom import FunctionSource, decide, locate
from rewards.detectors import DETECTORS, MOST_PARSED
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.plan import plan_sweep
from sweep.plan.signature import training_identity

PYTHON = "```python\nx = 1\nprint(x)\n```"
CHINESE = "我们先计算总和，然后除以人数。"


@pytest.mark.parametrize(
    ("name", "shown", "not_shown"),
    [
        ("code", ["Let us use python.", "```python\n"], ["Python", "```py\nx\n```", ""]),
        (
            "code_block",
            [PYTHON, "```\nx\n```", "a\n  ````text\n```\n````", "```python\nx = 1"],
            ["", "``` ```", "```\n\n```", "no `x` here", "```x``` inline", "```"],
        ),
        (
            "code_parses",
            [PYTHON, "```py\n  x = 1\n  y = 2\n```", "```Python3\ndef f():\n    return 1\n```",
             f"{PYTHON}\n```python\n(\n```"],
            [
                "```python\nx = = 1\n```", "```python\nx = 1", "```\nx = 1\n```", "```c\nx = 1\n```", "x = 1",
                "```python\n# nothing\n```", "```python\n\n```", f"```python\n{'x = 1;' * (MOST_PARSED // 6 + 1)}\n```",
            ],
        ),
        (
            "self_verification",
            [
                "Let me check this.", "Let’s verify: 2+2=4", "We can double-check.", "I should now check",
                "A quick sanity check", "to confirm, substitute", "checking the answer", "rechecked", "Verification:",
            ],
            ["a check of $5", "the checkerboard", "She writes a cheque", "confirmed cases", "unverifiable", "", "wait"],
        ),
        (
            "language_switch",
            [
                f"So the total is 12. {CHINESE}", f"{CHINESE}{CHINESE} So we have the answer now.",
                "The answer is ответ 5",
                "the sum में है", f"It costs $5 per day.\n{CHINESE} so the answer is five days of work or more",
                "τότε έχουμε δύο λύσεις για την εξίσωση so we have the answer",
            ],
            [
                "", "plain text", "let α + β = γ, αβ = Δx and ℵ₀ ≤ 𝔠, ℝ ⊂ ℂ", "naïve café, 5 µm, Ångström",
                r"We have $\text{总和}$ and \(个数\) and \[结果为\] there", "the group Ш is finite", CHINESE,
                f"{CHINESE}所以 sin x + cos y = 2，其中 AB = CD，函数 log 为",
                f"{CHINESE}```python\nfor the sum in all of it\n```",
                "テストのための漢字とカナ", "한국어와 漢字", "§ 1 — “quoted” … → 5 × 6 ÷ 7", "一",
            ],
        ),
        ("repetition", ["so " * 100, "x" * 82], ["x" * 81, "".join(map(str, range(900))), ""]),
        ("boxed", [r"\boxed{5}", r"\fbox 7"], [r"\boxed{}", r"\boxed{ }", r"\boxed{5", "5", ""]),
    ],
)  # fmt: skip
def test_each_detector_decides_as_described(name, shown, not_shown):
    decided = DETECTORS[name].shown
    assert [text for text in shown if not decided(text)] == []
    assert [text for text in not_shown if decided(text)] == []


PARSED = "```python\n'\\d'\n```"  # with a warning, which concerns nobody here
HOSTILE = [
    PARSED,
    *("```python\n" + text + "\n```" for text in (
        "(" * 9000, "-" * 9000 + "1", "a" + ".b" * 4900, "a" + "+a" * 4900, "\0", "\ud800", "9" * 9000,
        "lambda:" * 1400, "f'" + "{" * 9000,
    )),
    "```" * 100_000, "`" * 300_000, "```python\n" * 30_000, "$" * 300_000, r"\(" * 150_000, "check " * 50_000,
    "a" * 300_000, "我" * 150_000 + "a" * 150_000, "我们 ab " * 40_000, "\\boxed{" * 40_000, "to " * 100_000,
    "".join(chr(0x400 + i % 256) for i in range(200_000)), " " * 300_000, "```" + "a" * 300_000 + "`", "\n" * 300_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:24]))
def test_no_text_makes_a_detector_of_ours_fail_warn_or_take_quadratic_time(text, recwarn):
    """In quadratic time the long ones would take an hour. What Python's parser gives up is no code that parses."""
    found = Behaviours(BehavioursConfig()).detect(text)
    assert ("code_parses" in found) == (text == PARSED)
    assert not recwarn.list


def test_the_sieve_of_repetitions_changes_no_decision():
    draw = random.Random(0)
    for _ in range(400):
        part = "".join(draw.choices("ab ", k=draw.randrange(1, 40)))
        gaps = ["".join(draw.choices("abcdefgh", k=draw.randrange(30))) for _ in range(4)]
        text = part.join(gaps)
        for characters in (1, 2, 7, 20):
            stretches = [text[i : i + characters] for i in range(len(text) - characters + 1)]
            for times in (1, 2, 3):
                expected = any(stretches.count(stretch) >= times for stretch in stretches)
                assert repeats_itself(text, characters, times) == expected


OWN = """
import numpy as np

def has_units(text):
    return "cm" in text

def numpys(text):
    return np.bool_("cm" in text)

def raises(text):
    return 1 / len(text)

def counts(text):
    return text.count("cm")

def of_two(text, more):
    return True

def reads(text):
    return text[0] == "L"

def lacks(text):
    import no_such_package

def prints(text):
    print("not a decision")
    return True

def hangs(text):
    while "cm" in text:
        pass
    return True
"""


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own.py"


def behaviours_of(*overrides: str) -> BehavioursConfig:
    (cell,) = compose_cells(list(overrides))
    return cell.config.behaviours


def test_detectors_of_ones_own_decide_beside_ours(own_file):
    made = Behaviours(behaviours_of(
        "behaviours.detectors=[boxed]",
        "+behaviours.own.of_mass.pattern='\\b(kg|g)\\b'",
        *(f"+behaviours.own.{name}.target=own:{name}" for name in ("has_units", "numpys", "prints")),
    ))  # fmt: skip
    try:
        assert made.config.names == ("boxed", "code", "has_units", "numpys", "of_mass", "prints")
        assert made.detect_all(["5 kg python", "\\boxed{cm}"]) == [
            (("code", "of_mass", "prints"), ()), (("boxed", "has_units", "numpys", "prints"), ())
        ]  # fmt: skip
    finally:
        made.close()


def test_what_fails_at_a_text_decides_nothing_about_it_and_is_counted(own_file, caplog):
    made = Behaviours(behaviours_of(
        "behaviours.deadline_s=0.3", "+behaviours.own.endless.pattern='(a+)+b'",
        *(f"+behaviours.own.{name}.target=own:{name}" for name in ("raises", "hangs")),
    ))  # fmt: skip
    try:
        assert made.detect_all(["a" * 60, "aab", "", "cm"]) == [
            (("hangs",), ("endless", "raises")), (("endless", "hangs"), ("raises",)), (("hangs",), ("raises",)),
            ((), ("hangs", "raises")),
        ]  # fmt: skip
    finally:
        made.close()
    assert "a text counts as not showing a behaviour: behaviours.own.endless: took more time or memory" in caplog.text
    assert "behaviours.own.raises decided nothing about 4 texts" in caplog.text
    assert len(caplog.records) == 6  # two of each detector, however many texts


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("raises", ["raised ZeroDivisionError: division by zero", "own.py, line 11: return 1 / len(text)"]),
        ("counts", ["returned 0; it must return True or False", "own.py"]),
        ("of_two", ["missing 1 required positional argument", "called with one argument, a text", "own.py"]),
    ],
)
def test_a_function_that_fails_is_named_with_its_line(own_file, function, words):
    with pytest.raises(ValueError) as caught:
        decide(f"own:{function}", FunctionSource(**locate(f"own:{function}")), "")
    assert all(word in str(caught.value) for word in [f"target=own:{function}", *words])


@pytest.mark.parametrize(
    ("function", "obstacle", "note", "more"),
    [
        ("has_units", "", "", []),
        ("counts", "behaviours.own.u.target=own:counts returned 0; it must return True or False", "", []),
        ("reads", "behaviours.own.u.target=own:reads raised IndexError", "", []),
        ("lacks", "No module named 'no_such_package'", "", []),
        ("lacks", "", "No module named 'no_such_package'", ["cluster=slurm"]),
        ("lacks", "", "", ["checks.try_rewards=false"]),
    ],
)
def test_a_function_that_fails_on_made_up_texts_is_refused(own_file, tmp_path, function, obstacle, note, more):
    plan = plan_sweep([f"+behaviours.own.u.target=own:{function}", f"output_dir={tmp_path / 'runs'}", *more])
    for said, wanted in ((plan.obstacles, obstacle), (plan.notes, note)):
        assert len(said) == bool(wanted) and all(wanted in line for line in said)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("behaviours.detectors=[code_blok]", ["there is no detector code_blok; did you mean code_block?", "own"]),
        ("+behaviours.own.u.pattern='(cm'", ["behaviours.own.u.pattern='(cm': is no regular expression", "position 0"]),
        ("+behaviours.own.u.target=nowhere:f", ["behaviours.own.u.target=nowhere:f: no module nowhere"]),
        ("+behaviours.own.u.target=own:f", ["defines no f at its top level; it defines: ", "has_units"]),
        ("+behaviours.own.u.target=own", ["should be package.module:function"]),
        ("+behaviours.own.code.pattern=a", ["behaviours.own: code is the name of another detector"]),
        ("+behaviours.own.true_given_code.pattern=a", ["true_given_code is the name of another detector or metric"]),
        ("behaviours.own={u: {}}", ["behaviours.own.u: set either pattern", "or target"]),
        (
            "behaviours.own={u: {pattern: a, target: 'own:raises'}}",
            ["behaviours.own.u: set either pattern", "not both"],
        ),
        ("behaviours.own={Big-Name: {pattern: a}}", ["Big-Name", "[a-z][a-z0-9_]*"]),
    ],
)
def test_mistakes_are_refused_before_anything_is_submitted(own_file, typed, words):
    with pytest.raises(UserError) as caught:
        compose_cells([typed])
    assert [word for word in words if word not in str(caught.value)] == []


def test_definitions_say_what_decided_and_change_with_it(own_file):
    typed = ["behaviours.detectors=[boxed]", "+behaviours.own.u.target=own:has_units", "+behaviours.own.v.pattern='a+'"]
    found = Behaviours(behaviours_of(*typed)).definitions()
    assert found["code"] == found["boxed"] == "version 1" and found["v"] == "pattern a+"
    assert found["u"].startswith("own:has_units blake2b:")
    own_file.write_text(OWN + "\n# other\n")
    assert Behaviours(behaviours_of(*typed)).definitions()["u"] != found["u"]
    assert Behaviours(BehavioursConfig()).definitions()["code_parses"].startswith("version 1, Python 3.")


def test_detectors_are_no_part_of_what_makes_a_run(own_file):
    plain, typed = compose_cells(["reward=random"]), compose_cells(["reward=random", "+behaviours.own.u.pattern=a"])
    assert training_identity(plain[0].config) == training_identity(typed[0].config)


def test_a_function_in_folders_without_init_files_is_found(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.py").write_text("def f(text):\n    return True\n")
    monkeypatch.chdir(tmp_path)
    found = locate("a.b.c:f")
    assert found["directory"] == str(tmp_path)
    assert decide("a.b.c:f", FunctionSource(**found), "")
    with pytest.raises(ValueError, match=r"no module a\.b\.d"):
        locate("a.b.d:f")
