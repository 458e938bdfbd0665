"""One module for each command of ``subemb``; see subemb.cli."""
