"""How numbers change."""
