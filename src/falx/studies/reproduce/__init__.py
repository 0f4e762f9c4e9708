"""Published numbers, recomputed: what can be reproduced, how, and what cannot."""
