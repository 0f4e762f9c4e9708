"""
A laser plan
============

For the signature of a simulated patient: trajectories whose ablation covers it and keeps away
from what must stay whole.
"""

import falx

patient = falx.phantom_patient(side="left", voxel_mm=2.5, head="10")
head = falx.segment(patient.t1w, sampling_mm=6.0)
of = falx.asymmetry(falx.correct_pet(patient.pet, head))
found = falx.signature(of, side="left", method="threshold")  # such voxels leave little certain

plan = falx.plan(found, max_burns=1, max_angle_deg=40, draws=500)
print(plan)
if plan.suggested is not None:
    falx.save(plan, "planned_ablation.nii.gz")
plan.plot().savefig("plan.png")
