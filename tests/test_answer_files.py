"""The directory of an evaluation: what is written is read back, by us and by pandas; what is damaged is refused."""

from __future__ import annotations

import json
import shutil

import pandas
import pytest

from helpers.made_up_answers import MADE, QUESTIONS, answer, code, evaluate, opened, write_missing
from sweep.errors import DamagedFile, UserError
from sweep.run.answer_files import HeldByAnother
from sweep.run.answer_manifest import asked_questions, find_manifest, read_manifest
from sweep.run.answer_parts import as_answers, found_part, read_part
from sweep.run.answer_reading import answers_without_texts, holds, made_between, made_within, read_answers


def pairs(problems: int, samples: int) -> set:
    return {(q.id, s) for q in QUESTIONS[:problems] for s in range(samples)}


def pairs_of(directory) -> list:
    return [(a.problem, a.sample) for a in answers_without_texts(directory)]


def test_answers_are_read_as_they_were_written(tmp_path):
    manifest = evaluate(tmp_path, 4, 4)
    written = [answer(q.id, s) for q in QUESTIONS[:4] for s in range(4)]
    assert as_answers(read_answers(tmp_path)) == written
    assert [len(a.text) for a in answers_without_texts(tmp_path)] == [0] * 16
    assert [a.vote for a in answers_without_texts(tmp_path)] == [a.vote for a in written]
    assert (manifest.rows, manifest.problems, manifest.samples_per_problem) == (16, 4, 4)
    assert read_manifest(tmp_path) == manifest and asked_questions(tmp_path, manifest) == QUESTIONS[:4]
    assert json.loads((tmp_path / "_manifest.json").read_text())["schema"] == 1
    assert {part.hardware for part in manifest.parts} == {"cpu"} and len(manifest.parts) == 4


def test_pandas_reads_the_directory_and_finds_the_same_rows(tmp_path):
    evaluate(tmp_path, 4, 4)
    frame = pandas.read_parquet(tmp_path)
    ours = read_answers(tmp_path)
    assert list(frame.columns) == ours.column_names
    found = [{**row, "behaviours": list(row["behaviours"])} for row in frame.to_dict("records")]
    expected = ours.to_pylist()
    assert [{k: v for k, v in row.items() if v == v and v is not None} for row in found] == [
        {k: v for k, v in row.items() if v is not None} for row in expected
    ]


def test_columns_and_targets_choose(tmp_path):
    evaluate(tmp_path, 4, 4)
    table = read_answers(tmp_path, ["correct"], problems=2, samples=3)
    assert table.column_names == ["correct"] and table.num_rows == 6
    assert {(a.problem, a.sample) for a in answers_without_texts(tmp_path, 2, 3)} == pairs(2, 3)


@pytest.mark.parametrize("second", [(6, 2), (3, 4), (6, 4), (2, 4)])
def test_raising_a_target_samples_only_what_is_missing(tmp_path, second):
    first = evaluate(tmp_path, 3, 2)
    with opened(tmp_path, *second) as writer:
        assert set(writer.missing) == pairs(*second) - pairs(3, 2)
        write_missing(writer)
        manifest = writer.finish()
    assert manifest.parts[: len(first.parts)] == first.parts
    assert sorted(pairs_of(tmp_path)) == sorted(pairs(*second) | pairs(3, 2))
    assert {(a.problem, a.sample) for a in answers_without_texts(tmp_path, *second)} == pairs(*second)


@pytest.mark.parametrize(
    ("problems", "samples", "held"),
    [
        (2, 3, True),
        (1, 3, True),
        (5, 1, True),
        (4, 1, True),
        (5, 2, False),
        (3, 3, False),
        (6, 1, False),
        (2, 4, False),
    ],
)
def test_what_a_directory_holds_beyond_the_targets_of_its_manifest_is_counted(tmp_path, problems, samples, held):
    evaluate(tmp_path, 5, 1)
    assert holds(tmp_path, evaluate(tmp_path, 2, 3), problems, samples) is held


def test_lowered_targets_change_nothing(tmp_path):
    first = evaluate(tmp_path, 4, 4)
    with opened(tmp_path, 2, 1) as writer:
        assert writer.missing == [] and writer.finish() == first


def test_nothing_is_seen_before_the_manifest_and_a_killed_evaluation_goes_on(tmp_path):
    with opened(tmp_path, 4, 2) as writer:
        writer.write([answer(*pair) for pair in writer.missing[:3]], MADE)  # and here its process dies
    with pytest.raises(UserError, match="no finished evaluation"):
        read_answers(tmp_path)
    (tmp_path / ".part-00001.parquet.0123.partial").write_bytes(b"half")
    with opened(tmp_path, 4, 2) as writer:
        assert len(writer.missing) == 5
        with pytest.raises(ValueError, match="5 answers are missing"):
            writer.finish()
        write_missing(writer)
        writer.finish()
    assert sorted(pairs_of(tmp_path)) == sorted(pairs(4, 2))
    assert {f.name for f in tmp_path.iterdir()} == {
        "_manifest.json", "_problems.jsonl", "_lock", *(f"part-0000{n}.parquet" for n in range(3))
    }  # fmt: skip


def test_what_a_manifest_does_not_list_is_not_read(tmp_path):
    evaluate(tmp_path, 3, 2)
    with opened(tmp_path, 4, 2) as writer:  # dies before it lists the new part
        writer.write([answer(*pair) for pair in writer.missing], MADE)
    assert sorted(pairs_of(tmp_path)) == sorted(pairs(3, 2))
    assert asked_questions(tmp_path, read_manifest(tmp_path)) == QUESTIONS[:3]


def missing(part):
    part.unlink()


def cut(part):
    part.write_bytes(part.read_bytes()[:-10])


def flipped(part):
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"), [(missing, "missing"), (cut, r"has \d+ bytes instead of"), (flipped, "was changed")]
)
def test_a_damaged_part_is_named_and_sampled_again(tmp_path, damage, message, caplog):
    evaluate(tmp_path, 3, 4)
    before = read_answers(tmp_path).to_pylist()
    damage(tmp_path / "part-00001.parquet")
    with pytest.raises(DamagedFile, match=rf"part-00001\.parquet: .*{message}.*evaluate again"):
        read_answers(tmp_path, ["correct"])
    with opened(tmp_path, 3, 4) as writer:
        assert writer.missing == [("p1", s) for s in range(4)]
        assert write_missing(writer) == 4 and "part-00001.parquet" in caplog.text
        writer.finish()
    assert sorted(map(str, read_answers(tmp_path).to_pylist())) == sorted(map(str, before))


def test_what_replaces_a_damaged_part_is_kept_if_that_is_killed_too(tmp_path):
    evaluate(tmp_path, 3, 4)
    cut(tmp_path / "part-00002.parquet")
    with opened(tmp_path, 3, 4) as writer:
        writer.write([answer(*pair) for pair in writer.missing[:3]], MADE)  # and here its process dies
    with opened(tmp_path, 3, 4) as writer:
        assert writer.missing == [("p2", 3)]


@pytest.mark.parametrize("damage", [cut, lambda part: part.write_bytes(b"")])
def test_a_damaged_part_of_an_unfinished_evaluation_is_sampled_again(tmp_path, damage):
    with opened(tmp_path, 2, 2) as writer:
        write_missing(writer, chunk=2)
    damage(tmp_path / "part-00000.parquet")
    with opened(tmp_path, 2, 2) as writer:
        assert writer.missing == [("p0", 0), ("p0", 1)]


def test_an_unlisted_part_with_a_flipped_bit_is_taken_only_with_the_rows_that_were_written(tmp_path):
    with opened(tmp_path, 4, 4) as writer:
        write_missing(writer, chunk=16)
    part = tmp_path / "part-00000.parquet"
    content, rows, refused = part.read_bytes(), read_part(part), 0
    for place in range(5, len(content), 97):
        part.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        if found_part(part) is None:
            refused += 1
        else:
            assert read_part(part) == rows, place
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "the file"),
        ('{"schema": 2}', "schema 2, of a later version"),
        ('{"schema": 1}', "benchmark: Field required"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, content, message):
    evaluate(tmp_path)
    (tmp_path / "_manifest.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_answers(tmp_path)


def test_changed_questions_are_refused(tmp_path):
    manifest = evaluate(tmp_path)
    file = tmp_path / "_problems.jsonl"
    file.write_text(file.read_text().replace("2 + 1", "2 + 2"))
    with pytest.raises(DamagedFile, match=r"_problems\.jsonl: not the questions that were asked"):
        asked_questions(tmp_path, manifest)
    with pytest.raises(UserError, match=r"line 3: another question"), opened(tmp_path):
        pass
    file.write_text("{}\n")
    with pytest.raises(DamagedFile, match="line 1: no question"):
        asked_questions(tmp_path, manifest)


def test_a_second_writer_is_told_who_writes(tmp_path):
    with opened(tmp_path) as writer:
        with pytest.raises(HeldByAnother, match=r"process \d+ on .* writes there"), opened(tmp_path):
            pass
        write_missing(writer)
        writer.finish()
    with opened(tmp_path) as writer:
        assert writer.missing == []


def test_answers_of_other_weights_are_replaced(tmp_path, caplog):
    evaluate(tmp_path, 4, 2, weights="w1")
    with opened(tmp_path, 2, 2, weights="w2") as writer:
        assert set(writer.missing) == pairs(2, 2) and "answers of other weights (cell@w1) are replaced" in caplog.text
        assert find_manifest(tmp_path) is None and not list(tmp_path.glob("part-*"))
        writer.write([answer("p0", 0)], MADE)
    with opened(tmp_path, 2, 2, weights="w3") as writer:  # nor are unfinished ones mixed
        assert set(writer.missing) == pairs(2, 2)


def test_another_evaluation_is_refused(tmp_path):
    evaluate(tmp_path)
    with pytest.raises(UserError, match="another evaluation"), opened(tmp_path, temperature=0.6):
        pass
    assert len(pairs_of(tmp_path)) == 6


@pytest.mark.parametrize("rows", [[("p0", 0)], [("p2", 0), ("p2", 0)], [("p5", 0)]])
def test_a_chunk_with_answers_that_none_asked_for_is_refused(tmp_path, rows):
    with opened(tmp_path, 3, 2) as writer:
        writer.write([answer("p0", 0)], MADE)
        with pytest.raises(ValueError, match="there already, or that none asked for"):
            writer.write([answer(*row) for row in rows], MADE)


def test_other_detectors_find_the_behaviours_of_kept_answers_again(tmp_path):
    def boxed(text):
        return [*code(text), *(["short"] if len(text) < 12 else [])]

    detectors = {"code": "mentions python", "short": "under 12 characters"}
    evaluate(tmp_path / "a", 3, 2)
    with opened(tmp_path / "a", 3, 4) as writer:  # one part that the manifest lists not yet
        writer.write([answer(*pair) for pair in writer.missing[:2]], MADE)
    manifest = evaluate(tmp_path / "a", 3, 4, boxed, detectors=detectors)
    evaluate(tmp_path / "b", 3, 4, boxed, detectors=detectors)
    found = {(a.problem, a.sample): a for a in as_answers(read_answers(tmp_path / "a"))}
    assert found == {(a.problem, a.sample): a for a in as_answers(read_answers(tmp_path / "b"))}
    assert manifest.detectors == detectors and len(pandas.read_parquet(tmp_path / "a")) == 12


def test_parts_that_a_killed_rewriting_left_are_removed(tmp_path):
    manifest = evaluate(tmp_path, 3, 2)
    shutil.copy(tmp_path / manifest.parts[0].file, tmp_path / "part-00009.parquet")
    with opened(tmp_path, 3, 2) as writer:
        assert writer.missing == [] and writer.finish() == manifest
    assert len(pandas.read_parquet(tmp_path)) == 6


def test_differences_in_how_answers_were_made_are_told(tmp_path):
    one = evaluate(tmp_path / "a", 3, 2)
    other = MADE.model_copy(update={"engine": "vllm 0.9", "hardware": "H100", "code": "ffff"})
    mixed = evaluate(tmp_path / "a", 4, 2, made=other)
    gpu = evaluate(tmp_path / "b", made=other, weights="w2")
    assert made_within(one) == made_between(one, one) == []
    assert made_within(mixed) == [
        "answers were sampled with different engine: transformers 5.19, vllm 0.9",
        "answers were sampled with different hardware: H100, cpu",
    ]
    assert made_between(one, gpu)[0] == (
        "answers were sampled with different engine: transformers 5.19 (cell@w1), vllm 0.9 (cell@w2)"
    )
