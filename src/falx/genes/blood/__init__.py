"""Blood RNA-seq: differential expression and its overlap with imaging genes."""
