"""Statistics: group tests, linear models, permutation, random fields, outcome models."""
