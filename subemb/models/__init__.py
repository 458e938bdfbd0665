"""Where a table comes from: checkpoints, the networks around them, their vocabulary, and models composed of these.

Reading order: architectures (what differs between families), folder, checkpoint (opening one), catalogue and hub (finding one);
characters, spelling, vocabulary; sentences, network; model (what all of that is composed to), compact (its saved form), load.
"""
