"""The parts of an explanation by name, for those that show them; imports no torch."""

CLASS_MAP, RECEPTIVE_FIELD, TAPS, BRANCHES = "class-map", "receptive-field", "taps", "branches"
KINDS = (CLASS_MAP, RECEPTIVE_FIELD, TAPS, BRANCHES)
