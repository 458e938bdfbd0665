"""Where a table comes from: checkpoints, the networks around them, their vocabulary, and models composed of these.

Reading order: architectures (what differs between families), folder, checkpoint (one of a network), static (a table without one), opening (either, remembered), catalogue and hub (finding one);
characters, spelling, vocabulary; sentences, network; model (what all of that is composed to), compact (its saved form), load.
"""
