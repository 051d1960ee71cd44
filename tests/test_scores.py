"""Scores of answers, by hand: means, avg@k, pass@k, maj@k, and a gain that is only fewer cut-offs."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from helpers.scored import answered, verdicts, voting
from rewards import detectors
from rewards.grading import Outcome
from sweep.errors import UserError
from sweep.rollout.sample import Finish
from sweep.run.answers import by_problem
from sweep.score.majority import majority_at_k, problem_majority_at_k
from sweep.score.means import CODE, CUT_OFF, TIMEOUT, UNPARSED, Means, average_at_k, means, only_fewer_cut_offs
from sweep.score.pass_at_k import pass_at_k, passes, problem_pass_at_k

NO_MEANS = Means(0, None, None, None, None, None, None, None, None, None, None, {})


def test_means_by_hand():
    found = means(
        [
            answered("a", 0, True, behaviours=("code", "self_check"), tokens=10),
            answered("a", 1, False, outcome="unparsed", behaviours=("code",), tokens=20, finish="stop"),
            answered("b", 0, True, tokens=30, finish="length"),
            answered("b", 1, False, answer=None, outcome="none", tokens=41, finish="length"),
            answered("b", 2, False, outcome="exceeded", tokens=1),
        ]
    )
    assert found == Means(
        answers=5,
        accuracy=2 / 5,
        code=2 / 5,
        code_accuracy=1 / 2,
        prose_accuracy=1 / 3,
        truncated=2 / 5,
        ended_accuracy=1 / 3,
        tokens=102 / 5,
        extracted=4 / 5,
        unparsed=1 / 5,
        timeouts=1 / 5,
        finish={"eos": 2 / 5, "length": 2 / 5, "stop": 1 / 5},
    )


def test_means_of_nothing_are_none_and_not_zero():
    assert means([]) == NO_MEANS
    cut = means([answered("a", finish="length")])
    assert (cut.accuracy, cut.ended_accuracy, cut.code_accuracy, cut.prose_accuracy) == (0.0, None, None, 0.0)


def test_means_are_sums_of_whole_numbers_divided_once():
    """So that they are the same to the last bit in any order, and those that earlier versions recorded."""
    draw = np.random.default_rng(0)
    rows = [
        answered(
            f"p{place % 7}",
            place // 7,
            outcome == Outcome.RIGHT,
            outcome=outcome,
            behaviours=("code",) if code else (),
            tokens=int(tokens),
            finish=finish,
        )
        for place, (outcome, code, tokens, finish) in enumerate(
            zip(
                draw.choice([o.value for o in Outcome], 333),
                draw.integers(0, 2, 333),
                draw.integers(1, 4000, 333),
                draw.choice(["eos", "stop", "length"], 333),
                strict=True,
            )
        )
    ]
    found = means(row for those in by_problem(rows).values() for row in those)
    code, prose = ([r for r in rows if ("code" in r.behaviours) == shown] for shown in (True, False))
    assert [found.accuracy, found.code_accuracy, found.prose_accuracy] == [
        sum([r.correct for r in those]) / len(those) for those in (rows, code, prose)
    ]
    assert found.code == len(code) / 333 and found.tokens == sum([r.tokens for r in rows]) / 333
    assert found.truncated == found.finish["length"] == sum([r.finish == "length" for r in rows]) / 333
    assert found.unparsed == sum([r.outcome == "unparsed" for r in rows]) / 333
    assert found.timeouts == sum([r.outcome == "exceeded" for r in rows]) / 333


def test_outcomes_end_reasons_and_code_are_called_what_others_call_them():
    assert (Outcome.UNPARSED.value, Outcome.TIMEOUT.value) == (UNPARSED, TIMEOUT)
    assert detectors.CODE == CODE
    assert Finish.LENGTH.value == CUT_OFF


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (verdicts(a="R"), 1.0),
        (verdicts(a="w", b="w"), 0.0),
        (verdicts(a="RRww", b="wwww"), 0.25),
        (verdicts(a="R", b="Rwww"), 0.625),  # ragged: problems count equally, so it is not 2/5
    ],
)
def test_average_at_k_by_hand(answers, expected):
    assert average_at_k(answers) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("n", "right", "k", "expected"),
    [
        (1, 1, 1, 1.0),
        (1, 0, 1, 0.0),
        (4, 1, 1, 1 / 4),
        (4, 1, 2, 1 / 2),
        (4, 2, 2, 5 / 6),
        (4, 3, 2, 1.0),  # fewer wrong ones than k
        (16, 0, 16, 0.0),
        (16, 1, 16, 1.0),
        (10_000, 1, 1, 1e-4),  # the whole numbers have thousands of digits
        (10_000, 1, 5_000, 0.5),
    ],
)
def test_pass_at_k_by_hand(n, right, k, expected):
    assert problem_pass_at_k(n, right, k) == expected


def test_pass_at_k_is_the_share_of_choices_with_a_right_answer_and_unbiased():
    for n, right, k in ((6, 2, 3), (7, 1, 4), (5, 4, 2)):
        marks = [place < right for place in range(n)]
        assert problem_pass_at_k(n, right, k) == pytest.approx(np.mean([any(c) for c in combinations(marks, k)]))
    chance, n, k = 0.3, 6, 4
    weights = [math.comb(n, c) * chance**c * (1 - chance) ** (n - c) for c in range(n + 1)]
    mean = sum(w * problem_pass_at_k(n, c, k) for c, w in enumerate(weights))
    assert mean == pytest.approx(1 - (1 - chance) ** k, abs=1e-12)


def test_pass_at_1_is_avg_at_k_and_problems_of_different_numbers_count_equally():
    ragged = verdicts(a="Rw", b="wwwR", c="RRR")
    assert pass_at_k(ragged, 1) == pytest.approx(average_at_k(ragged), abs=1e-15)
    assert passes(ragged, 2) == {"a": 1.0, "b": 0.5, "c": 1.0}
    assert pass_at_k(ragged, 2) == pytest.approx(2.5 / 3, abs=1e-15)


@pytest.mark.parametrize(("score", "word"), [(pass_at_k, "pass"), (majority_at_k, "maj")], ids=["pass", "majority"])
def test_more_answers_than_a_problem_has_are_refused(score, word):
    ragged = verdicts(a="RRRR", short="Rw", c="RRR")
    with pytest.raises(UserError, match=rf"{word}@3 needs 3 answers to each problem, but problem short has 2;"):
        score(ragged, 3)
    with pytest.raises(UserError, match=rf"{word}@0: .* at least 1"):
        score(ragged, 0)


@pytest.mark.parametrize(
    "score", [average_at_k, lambda a: pass_at_k(a, 1), lambda a: majority_at_k(a, 1)], ids=["avg", "pass", "maj"]
)
def test_nothing_has_no_score(score):
    with pytest.raises(UserError, match="no answer to score"):
        score({})
    with pytest.raises(UserError, match="problem b has no answer"):
        score({"a": [answered("a")], "b": []})


@pytest.mark.parametrize(
    ("votes", "k", "expected"),
    [
        (["1"], 1, 1.0),
        (["0"], 1, 0.0),
        ([None], 1, 0.0),
        ([None, None, "1"], 3, 1.0),  # answers without a vote do not vote
        ([None, None, "1"], 2, 2 / 3),  # in one choice of three nobody votes
        (["1", "0"], 2, 1 / 2),  # a tie shares the point
        (["1", "0", "2"], 3, 1 / 3),
        (["1", "1", "0"], 3, 1.0),
        (["1", "1", "0"], 2, (1 + 1 / 2 + 1 / 2) / 3),
        (["1", "0", "0"], 1, 1 / 3),
        (["0", "2", "2", "1", "1"], 5, 1 / 2),
        (["0", "0", "1"], 3, 0.0),
    ],
)
def test_majority_by_hand(votes, k, expected):
    assert problem_majority_at_k(voting(*votes), k) == pytest.approx(expected, abs=1e-15)


def counted_choices(answers, k: int) -> Fraction:
    """maj@k as it is defined: every choice of k answers is looked at."""
    first = {}
    for answer in answers:
        first.setdefault(answer.vote, answer.correct)
    points, choices = Fraction(0), 0
    for chosen in combinations(answers, k):
        choices += 1
        votes = Counter(answer.vote for answer in chosen if answer.vote is not None)
        top = [vote for vote, times in votes.items() if times == max(votes.values())]
        points += Fraction(sum(first[vote] for vote in top), len(top)) if top else 0
    return points / choices


@pytest.mark.parametrize("seed", range(12))
def test_majority_is_the_mean_over_all_choices(seed):
    """Of random votes, some equal, some absent; several votes may be right, where two ways to write the gold differ."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, 11))
    votes = [None if vote == 0 else str(vote) for vote in draw.integers(0, draw.integers(2, 7), n)]
    answers = [answered("p", place, vote in ("1", "2"), answer=vote) for place, vote in enumerate(votes)]
    for k in range(1, n + 1):
        assert problem_majority_at_k(answers, k) == pytest.approx(float(counted_choices(answers, k)), abs=1e-14)


def test_majority_is_exact_where_choices_are_too_many_to_list():
    """Of 64 answers, 41 of which are right: the majority of 32 is nearly always right, and its complement's share."""
    two = voting(*["1"] * 41, *["0"] * 23)
    ways = {right: math.comb(41, right) * math.comb(23, 32 - right) for right in range(9, 33)}
    points = sum(w for right, w in ways.items() if right > 16) + Fraction(ways[16], 2)
    assert problem_majority_at_k(two, 32) == pytest.approx(float(points / math.comb(64, 32)), abs=1e-14)
    each = voting(*map(str, range(1, 513)))  # all differ: one of k has the right one, and shares with the others
    assert problem_majority_at_k(each, 8) == pytest.approx(1 / 512, rel=1e-12)


def test_a_vote_is_right_if_its_first_answer_is():
    answers = [answered("p", 0, True, answer="0.5"), answered("p", 1, False, answer="1/2", vote="0.5")]
    assert problem_majority_at_k(answers, 2) == 1.0 and problem_majority_at_k(answers, 1) == 1.0


def ended(right: int, wrong: int, cut: int) -> Means:
    rows = [answered("p", 0, True)] * right + [answered("p")] * wrong + [answered("p", finish="length")] * cut
    return means(rows)


def test_a_gain_that_is_only_fewer_cut_offs_is_said_in_words():
    assert only_fewer_cut_offs(ended(3, 3, 4), ended(4, 4, 2)) == (
        "accuracy rose from 30.0% to 40.0% only because fewer answers were cut off (40.0% before, 20.0% after): of the"
        " answers that ended by themselves, 50.0% were right before and 50.0% after"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ended(3, 3, 4), ended(5, 4, 1)),  # answers that ended are right more often too
        (ended(3, 3, 4), ended(3, 5, 2)),  # no gain
        (ended(3, 5, 2), ended(4, 4, 2)),  # as many are cut off
        (ended(0, 0, 4), ended(4, 4, 2)),  # nothing had ended, so there is nothing to compare with
        (NO_MEANS, ended(1, 1, 1)),
        (ended(1, 1, 1), NO_MEANS),
    ],
)
def test_other_gains_and_losses_are_not(before, after):
    assert only_fewer_cut_offs(before, after) is None
