"""Receiver operating characteristic: curve, cuts, resampling, decision curves."""
