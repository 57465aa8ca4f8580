"""What is on the shelves, and what has to be ordered."""

from dataclasses import dataclass


@dataclass
class Article:
    name: str
    count: int
    minimum: int
    target: int


def total(articles: list[Article]) -> int:
    """All pieces on the shelves."""
    return sum(article.count for article in articles)


def restock(articles: list[Article]) -> dict[str, int]:
    """How many pieces of each article to order: articles below their minimum are filled up to their target."""
    orders = {}
    for article in articles:
        if article.count <= article.minimum:
            orders[article.name] = article.target
    return orders


def find(articles: list[Article], name: str) -> Article:
    """The article of that name. Raises KeyError when there is none."""
    for article in articles:
        if article.name == name:
            return article
    raise KeyError(name)
