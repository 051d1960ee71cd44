"""Did a reward beat its control: partners, tests, sentences, warnings, what to run next, on results made up here."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from helpers.constants import ROOT
from helpers.made_up_results import CLAIM, cells, printed, verdict
from sweep.compare.contrasts import LESS, MORE, NOT_APART, UNTESTED, Alone, Findings
from sweep.compare.export import read_comparison
from sweep.compare.figures.style import looks
from sweep.compare.results import Launch
from sweep.compare.statistics import holm, welch
from sweep.compare.table import print_verdict
from sweep.compare.tables import contrast_grid
from sweep.compare.verdict import judge
from sweep.errors import UserError


def named(findings: Findings) -> list[tuple[str, str]]:
    return [(" ".join(c.row.axes.values()), " ".join(c.control.axes.values())) for c in findings.contrasts]


@pytest.mark.parametrize(
    ("rows", "control", "expected"),
    [
        ([cells("t", 0.6), cells("random", 0.5)], None, [("a t", "a random")]),
        # What hangs below the control's own choices may differ: the reward's options, and labels.
        (
            [cells("t", 0.6, reward__x=1, labels__samples=8, labels="l"), cells("random", 0.5, reward__p=0.5)],
            None,
            [("a t 1 8 l", "a random 0.5")],
        ),
        # Each of several partners is a contrast of its own.
        (
            [cells("t", 0.6), cells("random", 0.5, reward__p=0.3), cells("random", 0.5, reward__p=0.7)],
            None,
            [("a t", "a random 0.3"), ("a t", "a random 0.7")],
        ),
        # Every other axis must be the same, and so must the model.
        (
            [cells("t", 0.6, clip=0.2), cells("random", 0.5, clip=0.3), cells("random", 0.5, clip=0.2)],
            None,
            [("a t 0.2", "a random 0.2")],
        ),
        ([cells("t", 0.6), cells("random", 0.5, model="b")], None, []),
        # A control of another kind.
        (
            [cells("t", 0.6, clip=0.2), cells("t", 0.6, clip="null"), cells("random", 0.5, clip=0.2)],
            {"clip": "null"},
            [("a t 0.2", "a t null")],
        ),
        # A control of several choices frees all their axes.
        (
            [cells("t", 0.6, clip=0.2), cells("random", 0.5, clip="null"), cells("random", 0.5, clip=0.2)],
            {"reward": "random", "clip": "null"},
            [("a t 0.2", "a random null"), ("a random 0.2", "a random null")],
        ),
        # Nothing is compared that was evaluated otherwise, or trained for another number of steps.
        ([cells("t", 0.6, evaluation="e2"), cells("random", 0.5)], None, []),
        ([cells("t", 0.6, length=8), cells("random", 0.5)], None, []),
        # Controls are not compared with one another.
        ([cells("random", 0.5, reward__p=0.3), cells("random", 0.5, reward__p=0.7)], None, []),
    ],
)  # fmt: skip
def test_a_partner_is_the_same_but_for_the_control(rows, control, expected):
    found = verdict(*rows, **({"control": control, "typed": True} if control else {}))
    assert named(found.findings) == expected


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([cells("t", 0.6)], "there is no cell with reward=random"),
        ([cells("t", 0.6, clip=0.2), cells("random", 0.5, clip=0.3)], "otherwise like it: clip is 0.3 there"),
        ([cells("t", 0.6), cells("random", 0.5, clip=0.3)], "otherwise like it: clip is 0.3 there"),
        ([cells("t", 0.6, clip=0.3), cells("random", 0.5)], "otherwise like it: clip is not set there"),
        ([cells("t", 0.6, evaluation="e2"), cells("random", 0.5)], "were evaluated otherwise"),
        ([cells("t", 0.6, length=8), cells("random", 0.5)], "were trained for 4 steps, and it for 8"),
        ([cells("t", 0.6), cells("random", 0.5, final=None)], "no cell of its control has a value yet"),
        ([cells("t", 0.6, final=None), cells("random", 0.5)], "no cell of it has a value yet"),
    ],
)
def test_a_row_without_a_partner_is_named_with_the_reason(rows, reason):
    found = verdict(*rows)
    (alone,) = found.findings.alone
    assert isinstance(alone, Alone) and alone.row.axes["reward"] == "t" and reason in alone.reason
    assert re.search(f"t[^;]* cannot be compared with a control, because {alone.reason}", " ".join(found.sentences))


def test_seeds_that_only_one_of_both_has_are_left_out_and_named():
    found = verdict(cells("t", 0.6, (0, 1, 2, 7)), cells("random", 0.5, (1, 2, 3)))
    (contrast,) = found.findings.contrasts
    assert (contrast.seeds, contrast.estimate.n, contrast.paired) == ((1, 2), 2, True)
    assert contrast.left_out == {"row": (0, 7), "control": (3,)}
    assert "t has seeds that random has not, and that their contrast leaves out: 0, 7" in found.warnings
    assert "random has seeds that t has not, and that their contrast leaves out: 3" in found.warnings


def test_without_a_common_seed_the_test_is_welchs_and_says_so():
    first, second = cells("t", 0.6, (0, 1, 2)), cells("random", 0.5, (3, 4))
    found = verdict(first, second)
    (contrast,) = found.findings.contrasts
    assert not contrast.paired
    assert contrast.estimate == welch([c.final for c in first], [c.final for c in second])
    assert "no seed is common to both, so that this is Welch's test of unpaired seeds" in found.sentences[0]
    assert "t − random (unpaired)" in printed(found)


def test_everything_that_is_claimed_is_adjusted_together():
    rows = [
        cells(reward, mean, model=model)
        for model in ("a", "b")
        for reward, mean in (("ground_truth", 0.65), ("format", 0.52), ("random", 0.51))
    ]
    found = verdict(*rows)
    tested = [*found.findings.contrasts, *found.findings.changes]
    assert found.findings.tests == len(tested) == 6
    assert [one.adjusted for one in tested] == holm([one.estimate.p for one in tested])
    assert {one.tests for one in tested} == {6}
    assert "p adjusted by Holm over all m = 6 tests here" in printed(found)


def test_a_verdict_needs_an_adjusted_p():
    """The same contrast is told apart by itself and not among others."""
    alone = verdict(cells("ground_truth", 0.6), cells("random", 0.5, base=None))
    assert [c.verdict for c in alone.findings.contrasts] == [MORE]
    others = [cells(f"{'x' * (5 + 3 * i)}", 0.5 + 0.001 * i) for i in range(9)]
    among = verdict(cells("ground_truth", 0.6), cells("random", 0.5, base=None), *others)
    first = among.findings.contrasts[0]
    assert first.estimate.p == alone.findings.contrasts[0].estimate.p < 0.05 <= first.adjusted
    assert first.verdict == NOT_APART and not CLAIM.search(printed(among))
    lower = verdict(cells("ground_truth", 0.25), cells("random", 0.5, base=None))
    assert [c.verdict for c in lower.findings.contrasts] == [LESS]
    assert "ground_truth ends with 25.0 points less than random" in lower.sentences[0]


def test_families_are_compared_where_one_of_them_is_told_apart():
    def families(first: float, second: float) -> Findings:
        made = [(m, r, v) for m, mean in (("a", first), ("b", second)) for r, v in (("tt", mean), ("random", 0.5))]
        return verdict(*(cells(r, v, (0, 1, 2, 3, 4), model=m, base=None) for m, r, v in made)).findings

    (asked,) = families(0.9, 0.5).across
    first, second = families(0.9, 0.5).contrasts
    assert asked.estimate == welch(first.differences, second.differences) and asked.verdict == MORE
    (not_asked,) = families(0.5, 0.501).across
    assert not_asked.estimate.p is not None and not_asked.verdict == UNTESTED
    assert families(0.5, 0.501).tests_across == 1


def test_families_with_prompts_of_their_own_are_compared_and_evaluations_are_not_mixed():
    own = [cells(r, v, model=m, evaluation=f"of-{m}") for m in "ab" for r, v in (("t", 0.6), ("random", 0.5))]
    assert len(verdict(*own).findings.across) == 1
    both = [
        cells(r, 0.6, model=m, evaluation=e, row=f"{m}{r}{e}")
        for m in "ab"
        for r in ("t", "random")
        for e in ("e1", "e2")
    ]
    across = verdict(*both).findings.across
    assert [(a.first.row.evaluation, a.second.row.evaluation) for a in across] == [("e1", "e1"), ("e2", "e2")]


@pytest.mark.parametrize(("answers", "expected"), [(None, MORE), (100_000, MORE), (100, NOT_APART)])
def test_a_control_within_what_its_bases_sampling_does_has_not_moved(answers, expected):
    found = verdict(
        cells("random", 0.59, (0, 1, 2, 3), answers=answers), cells("t", 0.6, (0, 1, 2, 3), answers=answers)
    )
    (change,) = found.findings.changes
    assert change.adjusted < 0.05 and change.verdict == expected
    said = "sampling the base's answers again may move it by up to 9.8 points"
    assert (said in found.sentences[0]) == (expected == NOT_APART)


def test_the_share_of_the_truths_gain_is_a_ratio_or_undefined():
    (whole,) = verdict(cells("ground_truth", 0.7), cells("random", 0.6)).findings.contrasts
    assert whole.share.value == pytest.approx(0.5) and 0 < whole.share.low < 0.5 < whole.share.high < 1
    for truth, other, why in ((0.501, 0.5, "not told apart from 0"), (0.3, 0.4, "a loss")):
        found = verdict(cells("ground_truth", truth), cells("random", other))
        assert found.findings.contrasts[0].share is None
        assert f"which share of its gain random gives is undefined, as that gain is {why}" in found.sentences[0]
    still = verdict(cells("ground_truth", 0.5, final=0.5), cells("random", 0.5, final=0.5)).sentences[0]
    assert "as that gain is not told apart from 0" in still
    assert "share" not in verdict(cells("format", 0.7), cells("random", 0.6)).sentences[0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [cells("t", 0.6, (0,)), cells("random", 0.5, (0,))],
            [
                "t ended +10.0 points from random with n = 1",
                "; one seed says what these runs did, and cannot tell what another",
            ],
        ),
        (
            [cells("t", 0.6, final=0.6), cells("random", 0.5, final=0.5)],
            ["t ended +10.0 points from random in each of 3 seeds, which leaves no spread to judge by"],
        ),
        (
            [cells("tt", 0.51), cells("random", 0.5, base=None)],
            [
                "tt is not told apart from random (+1.0 points, ",
                "n = 3, adjusted p ",
                "where 80 % power at 0.05/1 would have shown ",
                " and the difference seen would need ",
            ],
        ),
        ([cells("t", 0.5, clip=1), cells("random", 0.5, clip=1), cells("t", 0.6, clip=2)], ["t clip=2 cannot be"]),
        ([cells("random", 0.5)], ["random itself is not told apart from its base"]),
    ],
)
def test_sentences(rows, words):
    found = verdict(*rows)
    (sentence,) = found.sentences
    assert sentence.startswith("a: ") and sentence.endswith(".")
    assert all(word in sentence for word in words), sentence
    assert not CLAIM.search(printed(found))


def test_one_seed_has_no_interval_no_test_and_no_claim_anywhere():
    found = verdict(*(cells(r, v, (0,), m) for m in "ab" for r, v in (("ground_truth", 0.9), ("random", 0.1))))
    shown = printed(found)
    assert found.findings.tests == found.findings.tests_across == 0
    assert "m = 0 tests" in shown and "…" not in shown and not CLAIM.search(shown)
    assert "n = 1: every row has one seed, and so neither interval nor test over seeds" in shown
    assert "one seed" in shown


def test_every_mean_over_families_is_left_out():
    """Each row of the tables is of one model, and each sentence too."""
    found = verdict(*(cells(r, v, model=m) for m in ("a", "b") for r, v in (("t", 0.9), ("random", 0.1))))
    assert [s.partition(":")[0] for s in found.sentences] == ["a", "b"]
    assert len(found.rows) == 4


def test_families_may_be_made_of_other_axes():
    rows = [cells(r, 0.6, clip=clip) for clip in (0.2, 0.3) for r in ("t", "random")]
    assert [s.partition(":")[0] for s in verdict(*rows).sentences] == ["a"]
    assert [s.partition(":")[0] for s in verdict(*rows, by=("model", "clip")).sentences] == ["a clip=0.2", "a clip=0.3"]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            {"control": {"reward": "randm"}, "typed": True},
            "--control reward=randm: no cell has it; reward is random, t",
        ),
        ({"control": {"clip": "1"}, "typed": True}, "--control clip=1: no such axis here; there are model, reward"),
        ({"by": ("family",)}, "--by family: no axis here; there are model, reward"),
        ({"by": ("reward",)}, "--by reward: a family holds rows and their controls, which differ in it"),
        ({"where": {"clip": "1"}}, "--where clip: no axis here; there are model, reward, seed"),
        ({"where": {"model": "b*"}}, "--where model=b*: no cell matches"),
    ],
)
def test_questions_that_cannot_be_meant_are_refused(question, words):
    with pytest.raises(UserError) as caught:
        verdict(cells("t", 0.6), cells("random", 0.5), **question)
    assert words in str(caught.value)


def test_a_selection_is_said_in_the_header_and_asks_for_no_controls():
    rows = [cells(r, 0.6, model=m) for m in ("a", "b") for r in ("t", "random")]
    found = verdict(*rows, where={"model": "a"}, launches=[Launch("s", ["reward=t,random"], ["x"])])
    assert found.findings.tests == 2 and "m = 2 tests that --where left here" in printed(found)
    launch = Launch("s", ["reward=t,random"], [cell.signature for row in rows for cell in row])
    assert not verdict(*rows, where={"reward": "t"}, launches=[launch]).suggestions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"length": 6}, ("of 4 steps", "of 6 steps")),
        ({"evaluation": "e2"}, ("under evaluation e1", "under evaluation e2")),
        ({"rules": {"grading": 2}}, ("by rules none", "by rules grading 2")),
        ({"length": 6, "evaluation": "e2"}, ("of 4 steps", "of 6 steps")),
    ],
)
def test_rows_that_differ_in_no_axis_are_told_apart_wherever_they_are_named(changes, words):
    made = [cells(reward, mean) for reward, mean in (("t", 0.6), ("random", 0.5))]
    others = [
        [
            replace(c, row=f"other {c.reward}", entry=replace(c.entry, signature=f"{c.signature}-"), **changes)
            for c in row
        ]
        for row in made
    ]
    found = verdict(*made, *others)
    names = {f"{name} {said}" for name in ("t", "random") for said in words}
    assert {row.told(["reward"]) for row in found.rows} == names
    assert all(name in found.sentences[0] for name in names)
    assert {f"t {said} − random {said}" for said in words} <= {line[1] for line in contrast_grid(found).rows}
    assert set(looks(found.rows, ["model"])) == names
    assert [row.told(["reward"]) for row in verdict(*made).rows] == ["t", "random"]


def test_a_narrow_terminal_shows_the_names_of_the_rows():
    console = Console(file=StringIO(), width=80)
    comparison, question = read_comparison(ROOT / "benchmarks/results/learning.json")
    print_verdict(judge(comparison, question), console)
    lines = console.file.getvalue().splitlines()
    assert any(re.fullmatch(r" *llama3_mini +ground_truth +50.2 .*", line) for line in lines)
    (heads,) = [line for line in lines if "difference" in line and "final" in line]
    assert len(heads.rstrip()) <= 80
