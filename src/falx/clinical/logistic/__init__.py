"""Logistic regression: maximum likelihood, Firth, splines, separation."""
