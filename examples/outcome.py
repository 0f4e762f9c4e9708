"""
Does the ablative rate predict freedom from seizures?
=====================================================

The 30 patients that Mo et al. (2025) printed: area, cut, and what is left of its accuracy in
patients that did not choose it.
"""

import falx

cohort = falx.published_cohort()
found = falx.roc(cohort["rate_hippocampus"], cohort["seizure_free"], resamples=500, repeats=50)
print(found)
print("published cut: 39.79 %, of one centre; found here, with its range over resamples:")
print(found.cut.threshold, found.stability.ci_low, found.stability.ci_high)
found.plot().savefig("roc.png")
