"""
Regional homogeneity of a resting run
=====================================

A simulated run, cleaned in one projection; Kendall's W of every voxel with its 26 neighbours.
"""

import falx

run = falx.phantom_rest(volumes=60, voxel_mm=4.0)
found = falx.reho(run.bold, run.mask, repetition_time_s=run.repetition_time_s, neighbours=27)
print(found)

falx.save(found, "reho.nii.gz")  # Kendall's W
falx.save(found.z, "reho_z.nii.gz")
found.plot().savefig("reho.png")
