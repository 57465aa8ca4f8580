from dataclasses import dataclass


@dataclass
class Article:
    name: str
    count: int
    minimum: int
    target: int


def total(articles):
    return sum(article.count for article in articles)


def restock(articles):
    return {a.name: a.target - a.count for a in articles if a.count < a.minimum}


def find(articles, name):
    return {article.name: article for article in articles}[name]
