"""Statistics of a cohort: group tests, logistic models, ROC, additive models, validation."""
