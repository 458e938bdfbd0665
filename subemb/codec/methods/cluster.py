"""Cluster-based codes (the paper's Algorithm 2): k-means decides, then tuples are made unique again."""

from .base import Suggested
from .product import Product


class Cluster(Product):
    """:class:`Product` as the paper has it: distinct tuples and the smallest codebooks that allow them."""

    key = "cluster"
    title = "Cluster (unique)"
    summary = "k-means decides the codes, then tuples are made distinct with the least added error (the paper's Algorithm 2)."
    suggested = Suggested(subspaces=3, codebook_size=None)
    is_unique = True
