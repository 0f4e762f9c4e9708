"""How far single people lie from the controls, and whether groups differ in that."""
