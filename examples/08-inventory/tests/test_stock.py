import pytest

from inventory.stock import Article, find, restock, total


@pytest.fixture
def shelf():
    return [
        Article("nails", count=5, minimum=20, target=100),
        Article("hinges", count=12, minimum=10, target=30),
        Article("locks", count=4, minimum=4, target=10),
    ]


def test_total(shelf):
    assert total(shelf) == 21


def test_restock_fills_up_to_the_target(shelf):
    assert restock(shelf)["nails"] == 95


def test_restock_leaves_what_is_at_its_minimum(shelf):
    assert set(restock(shelf)) == {"nails"}


def test_find(shelf):
    assert find(shelf, "hinges").count == 12
    with pytest.raises(KeyError):
        find(shelf, "glue")
