"""Structures such as the hippocampus: own priors, or the labels of another program."""
