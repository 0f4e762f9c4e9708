"""
Validating a model elsewhere
============================

A model made at one centre, held against the patients of another: discrimination may hold while the
probabilities are wrong. Both centres are simulated; at the second, freedom from seizures is rarer
and depends less on the rate. With real data: ``falx signature … group --validate MODELS``.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit

from falx.clinical.external import validate_probabilities
from falx.clinical.logistic.firth import fit_firth

rng = np.random.default_rng(7)


def centre(patients, intercept, slope):
    rate = rng.uniform(0.2, 0.9, patients)
    return rate, rng.random(patients) < expit(intercept + slope * (rate - 0.55))


rate, free = centre(60, 0.8, 6.0)
intercept, slope = fit_firth(rate, free).coefficients
rate, free = centre(80, -0.2, 3.0)
predicted = expit(intercept + slope * rate)
found = validate_probabilities(predicted, free)
print(f"area {found.area.auc:.2f}")
print(f"expected {found.expected:.0%} free of seizures, observed {found.events / found.n:.0%}")
print(
    f"calibration slope {found.slope.value:.2f} ({found.slope.low:.2f} to {found.slope.high:.2f})"
)

groups = np.array_split(np.argsort(predicted), 5)
plt.plot([0, 1], [0, 1], "--", color="grey")
plt.plot([predicted[g].mean() for g in groups], [free[g].mean() for g in groups], "o-")
plt.xlabel("predicted probability")
plt.ylabel("share free of seizures")
plt.savefig("calibration.png")
