"""What everything else stands on: errors, progress, text, paths."""
