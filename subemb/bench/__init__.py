"""Measuring subemb against its peers: speed, token weights, tasks, adaptation."""
