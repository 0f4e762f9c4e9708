"""Study: a proposal of the vessels that a laser must keep away from."""
