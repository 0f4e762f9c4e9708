"""Where two groups of maps differ: t, clusters and their probabilities."""

import falx

phantom = falx.phantom_groups(people=8)
found = falx.group_map(phantom.images, phantom.groups, n_permutations=200)
print(found)
for cluster in found.clusters[:3]:
    print(cluster)

falx.save(found, "t.nii.gz")
found.plot().savefig("group_map.png")
