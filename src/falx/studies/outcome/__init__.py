"""The group level of `signature`: whether the ablative rate goes with the outcome."""
