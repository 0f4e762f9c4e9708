"""The Python interface: what ``import falx`` offers, from images to results that show themselves.

Functions here are thin. They take paths, nibabel images, or arrays with an affine, call the
science on them in the steps of the command line, and return results that print and draw
themselves. Values pass from step to step as files would carry them, so that a notebook and a
study give the same numbers, bit for bit.
"""
