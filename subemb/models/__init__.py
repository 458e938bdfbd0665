"""Where a table comes from: checkpoints, the networks around them, their vocabulary, and models composed of these."""
