"""What a map may claim: permutation, random fields, clusters, TFCE, smoothness."""
