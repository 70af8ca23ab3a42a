"""Splits: the data's own where they have them, else a seeded share that no other key can move."""

from __future__ import annotations

import pytest

from selftaught.data.files.splits import choose_split, given_split

KEYS = [f"picture{i}.jpg" for i in range(2000)]


def choose(split: str, given: dict[str, str] | None = None, *, seed: int = 0, held_out: float = 0.1) -> list[int]:
    return choose_split(KEYS, given, split=split, seed=seed, held_out=held_out)


def test_the_seeded_share_cuts_the_data_in_two_parts() -> None:
    train, held_out = choose("train"), choose("held_out")
    assert sorted(train + held_out) == list(range(2000))
    assert 150 < len(held_out) < 250
    assert choose("test") == held_out
    assert choose("held_out", seed=1) != held_out


def test_added_files_move_no_other_file() -> None:
    before = {KEYS[i] for i in choose("held_out")}
    grown = ["a_new_first_one.jpg", *KEYS[:1000], "between.jpg", *KEYS[1000:]]
    after = {grown[i] for i in choose_split(grown, None, split="held_out", seed=0, held_out=0.1)}
    assert before == after - {"a_new_first_one.jpg", "between.jpg"}


@pytest.mark.parametrize("count", [2, 3, 12])
def test_few_entries_leave_both_sides_something(count: int) -> None:
    for seed in range(20):
        parts = [
            choose_split(KEYS[:count], None, split=s, seed=seed, held_out=share)
            for share in (0.01, 0.9)
            for s in ("train", "held_out")
        ]
        assert all(parts)


def test_own_splits_are_used_and_stand_in_for_each_other() -> None:
    names = ("train", "val", "test")
    given = {key: names[i % 3] for i, key in enumerate(KEYS)}
    for i, split in enumerate(("train", "held_out", "test")):
        assert choose(split, given) == list(range(i, 2000, 3))
    no_val = {key: "test" if part == "val" else part for key, part in given.items()}
    assert choose("held_out", no_val) == choose("test", no_val) == [i for i in range(2000) if i % 3]
    no_test = {key: "valid" if part == "test" else part for key, part in given.items()}
    assert choose("test", no_test) == choose("held_out", no_test)


def test_a_test_folder_alone_is_cut_by_seed() -> None:
    assert choose("train", dict.fromkeys(KEYS, "test")) == choose("train")


def test_unlabelled_images_train_unless_labels_are_asked_for() -> None:
    given = {key: "unlabeled" if i < 1000 else "train" if i < 1900 else "test" for i, key in enumerate(KEYS)}
    assert len(choose("train", given)) == 1900
    labelled = choose_split(KEYS, given, split="train", seed=0, held_out=0.1, labelled_only=True)
    assert labelled == list(range(1000, 1900))


def test_a_key_without_a_split_is_in_none() -> None:
    given = {KEYS[0]: "train", KEYS[1]: "test"}
    assert choose("train", given) == [0]
    assert choose("held_out", given) == [1]


def test_no_held_out_part_is_one_sentence_that_names_the_flag() -> None:
    assert len(choose("train", held_out=0)) == 2000
    with pytest.raises(ValueError, match="--held-out above 0"):
        choose("held_out", held_out=0)
    with pytest.raises(ValueError, match="split must be one of train, held_out, test, got 'val'"):
        choose("val")


@pytest.mark.parametrize(
    ("name", "part"),
    [("train2017", "train"), ("test-00000-of-00001", "test"), ("Valid", "val"), ("trainer", None), ("dogs", None)],
)
def test_names_of_splits(name: str, part: str | None) -> None:
    assert given_split(name) == part
