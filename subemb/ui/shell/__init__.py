"""The frame around every page: sidebar, visit, jobs, messages."""
