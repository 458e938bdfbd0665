"""What pages and command line ask for by name: open a model and a kept run of it, evaluate them, keep the result."""
