"""What the stages of a run are given in tests: the defaults, on voxels of 5 mm."""

MOTION = {
    "dropped_volumes": 5, "least_volumes": 60, "slice_timing": True,
    "slice_padding": "odd", "motion_passes": 1, "translation_limit_mm": 3.0,
    "rotation_limit_deg": 3.0, "fd_threshold_mm": 0.2, "spike_limit_percent": 10.0,
    "centre": "world",
}  # fmt: skip
REHO = {
    "slice_timing": True, "slice_padding": "odd", "voxel_mm": 5.0, "low_hz": 0.01,
    "high_hz": 0.2, "order": "joint", "trend_order": 1, "wm_threshold": 0.9,
    "csf_threshold": 0.7, "compcor_components": 0, "global_signal": False,
    "spikes_before": 0, "spikes_after": 0, "least_dof": 15,
    "neighbours": 27, "least_neighbours": 2, "ties": "none", "edge": "partial",
    "border": "compute", "smoothing_fwhm_mm": 6.0, "standardise_first": True,
    "smooth_within_mask": False,
}  # fmt: skip
