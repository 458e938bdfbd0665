"""Whether a hypothesis follows from a premise, by a classifier or an entailment head."""
