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
constant, of_rate = fit_firth(rate, free).coefficients
rate, free = centre(80, -0.2, 3.0)
predicted = expit(constant + of_rate * rate)
found = validate_probabilities(predicted, free)
print(f"area {found.area.auc:.2f}")
print(f"expected {found.expected:.0%} free of seizures, observed {found.events / found.n:.0%}")
slope = found.slope
print(f"calibration slope {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})")

groups = np.array_split(np.argsort(predicted), 5)
figure, axis = plt.subplots()
axis.plot([0, 1], [0, 1], "--", color="grey")
axis.plot([predicted[g].mean() for g in groups], [free[g].mean() for g in groups], "o-")
axis.set(xlabel="predicted probability", ylabel="share free of seizures")
figure.savefig("calibration.png")
