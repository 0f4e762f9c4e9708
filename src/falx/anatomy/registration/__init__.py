"""Maps between images and to the template: affine, elastic, coregistration, inverse."""
