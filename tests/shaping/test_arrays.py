"""Trees of arrays: map, take, join, write, compare, flatten; rows of a space."""

import numpy as np
import pytest
from gymnasium import spaces

from shapegym.shaping.arrays import (
    allocate,
    flatten,
    nest,
    stack_members,
    tree_equal,
    tree_join,
    tree_map,
    tree_take,
    tree_write,
)

SPACE = spaces.Dict(
    {
        "image": spaces.Box(0, 255, (2, 2), np.uint8),
        "pair": spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))),
        "text": spaces.Text(5),
    }
)


def tree():
    return {"a": np.arange(4), "b": (np.ones((4, 2)), {"c": np.array([True, False, True, False])})}


def test_map_goes_side_by_side_through_dicts_and_tuples():
    doubled = tree_map(lambda one, other: one + other, tree(), {**tree(), "more": np.zeros(4)})
    assert doubled.keys() == {"a", "b"}
    np.testing.assert_array_equal(doubled["a"], [0, 2, 4, 6])
    assert isinstance(doubled["b"], tuple)
    np.testing.assert_array_equal(doubled["b"][0], np.full((4, 2), 2.0))
    with pytest.raises(KeyError):
        tree_map(np.add, tree(), {"a": np.arange(4)})
    with pytest.raises(ValueError, match="shorter"):
        tree_map(np.add, (1, 2), (1,))


@pytest.mark.parametrize("rows", [2, slice(1, 3), np.array([3, 0]), np.array([True, False, False, True])])
def test_take_and_write_are_indexing_of_every_leaf(rows):
    taken = tree_take(tree(), rows)
    np.testing.assert_array_equal(taken["b"][0], np.ones((4, 2))[rows])
    blank = tree_map(np.zeros_like, tree())
    tree_write(blank, rows, {**taken, "more": 1})
    assert tree_equal(tree_take(blank, rows), taken)
    assert np.count_nonzero(blank["b"][0]) == np.size(taken["b"][0])


def test_join_keeps_the_keys_that_all_trees_have():
    joined = tree_join(np.concatenate, [tree(), {**tree(), "late": np.zeros(1)}, tree()])
    assert joined.keys() == {"a", "b"}
    assert joined["b"][1]["c"].shape == (12,)
    assert tree_join(np.stack, [np.zeros(3), np.ones(3)]).shape == (2, 3)


def test_equal_trees_have_equal_leaves_and_keys():
    one = {"a": np.array([np.nan, 1.0]), "b": {"c": 2, "d": "x"}}
    assert tree_equal(one, {"a": np.array([np.nan, 1.0]), "b": {"c": 2, "d": "x"}})
    assert not tree_equal(one, {**one, "b": {"c": 2}})
    assert not tree_equal(one, {**one, "a": np.array([np.nan, 2.0])})


def test_flat_keys_lead_back_to_the_same_dicts():
    state = {"terms": {"count": {"keys": 1, "none": {}}, "phi": {}}, "clock": 3, "pair": (1, 2)}
    assert flatten(state) == {
        ("terms", "count", "keys"): 1,
        ("terms", "count", "none"): {},
        ("terms", "phi"): {},
        ("clock",): 3,
        ("pair",): (1, 2),
    }
    assert nest(flatten(state)) == state


def test_rows_of_a_space_have_its_form_and_dtypes():
    rows = allocate(SPACE, 3)
    assert (rows["image"].shape, rows["image"].dtype) == ((3, 2, 2), np.uint8)
    assert [part.dtype for part in rows["pair"]] == [np.int64, np.int8]
    assert rows["text"].tolist() == [None] * 3
    SPACE.seed(0)
    members = [SPACE.sample() for _ in range(3)]
    stacked = stack_members(SPACE, members)
    for row, member in enumerate(members):
        np.testing.assert_array_equal(stacked["image"][row], member["image"])
        assert stacked["pair"][0][row] == member["pair"][0]
        assert stacked["text"][row] == member["text"]
