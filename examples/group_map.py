"""
Where two groups of maps differ
===============================

t, clusters, their probabilities by permutation and by random fields, and how much of the
largest cluster truly differs at least (closed testing, 95 % sure).
"""

import falx

phantom = falx.phantom_groups(people=8)
found = falx.group_map(phantom.images, phantom.groups, n_permutations=200)
print(found)
for cluster in found.clusters[:3]:
    print(cluster)
rows = found.found.clusters[0].cluster.rows
surely = found.found.at_least(rows)
print(f"of its {len(rows)} voxels at least {surely} differ, 95 % sure")

falx.save(found, "t.nii.gz")
found.plot().savefig("group_map.png")
