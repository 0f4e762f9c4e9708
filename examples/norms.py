"""
Healthy asymmetry
=================

The norms that ship (537 cognitively normal old people, regional means), and what they say of one
number. A site's own controls are better: ``falx norms`` makes them, and ``--norms`` uses them.
"""

import matplotlib.pyplot as plt
import numpy as np

from falx.data.asymmetry_norms import asymmetry_norms
from falx.pet.norms import percentile_of

norms = asymmetry_norms()
names = sorted(norms, key=lambda name: norms[name].sd)
for name in ("hippocampus", "amygdala"):
    one = norms[name]
    print(f"{name}: mean {one.mean:+.3f}, SD {one.sd:.3f}, {one.people} people")

at = np.linspace(-0.25, 0.1, 71)
placed = [percentile_of("hippocampus", value, side="left") for value in at]
one = percentile_of("hippocampus", -0.10, side="left")
print(
    f"-0.10 is z {one.z:+.1f}, percentile {one.percentile:.2f} ({one.low:.2f} to {one.high:.2f})"
)

figure, (bars, curve) = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")
bars.barh(names, [norms[name].sd for name in names])
bars.set(xlabel="SD of the asymmetry index", title="healthy people")
bars.tick_params(axis="y", labelsize=6)
curve.plot(at, [one.percentile for one in placed])
curve.fill_between(at, [one.low for one in placed], [one.high for one in placed], alpha=0.3)
curve.set(xlabel="asymmetry of the left hippocampus", ylabel="percentile among healthy people")
figure.savefig("norms.png")
