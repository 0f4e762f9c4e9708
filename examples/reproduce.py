"""
The numbers of two papers, recomputed
=====================================

Every number that Mo et al. (2025) and Liu et al. (2024) printed and that their published data
allow, beside its recomputation; ``falx reproduce`` prints them all.
"""

from collections import Counter

import matplotlib.pyplot as plt

from falx.studies.reproduce.liu2024 import reproduce_liu2024
from falx.studies.reproduce.mo2025 import reproduce_mo2025

papers = {
    "Mo 2025": reproduce_mo2025(n_resamples=200, seed=2025),
    "Liu 2024": reproduce_liu2024(),
}
verdicts = {paper: Counter(item.verdict for item in items) for paper, items in papers.items()}
for paper, items in papers.items():
    print(f"{paper}: {len(items)} items")
    for verdict, n in verdicts[paper].most_common():
        print(f"  {n:3d} {verdict}")

words = sorted({verdict for found in verdicts.values() for verdict in found})
figure, axis = plt.subplots(layout="constrained")
for shift, (paper, found) in zip((-0.2, 0.2), verdicts.items(), strict=True):
    axis.barh([k + shift for k in range(len(words))], [found[w] for w in words], 0.38, label=paper)
axis.set_yticks(range(len(words)), words)
axis.set_xlabel("numbers")
axis.legend(frameon=False)
figure.savefig("verdicts.png")
