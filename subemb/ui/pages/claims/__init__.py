"""The page The paper's claims."""
