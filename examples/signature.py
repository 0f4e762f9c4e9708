"""
Signature and ablative rate
===========================

From a raw T1w and a raw PET of a simulated patient to the hypometabolic tissue, and to the
share of it that an ablation took.
"""

import falx

patient = falx.phantom_patient(side="right", voxel_mm=2.5, head="12")

head = falx.segment(patient.t1w, sampling_mm=6.0)  # paths or images of nibabel do as well
pet = falx.correct_pet(patient.pet, head)
found = falx.signature(falx.asymmetry(pet, smoothing_fwhm_mm=6.0), side="right")
print(head, pet, found, sep="\n")

to_postop = falx.coregister(patient.t1w_postop, head)
print(falx.ablative_rate(found, patient.ablation, matrix=to_postop))
print(f"simulated rate: {patient.truth.ablation.rate_hippocampus:.1%} of the hippocampus")

falx.save(found, "signature.nii.gz")
found.plot().savefig("signature.png")
