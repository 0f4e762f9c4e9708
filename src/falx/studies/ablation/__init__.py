"""The study `ablation`: a post-operative T1w becomes a proposal of what was ablated."""
