"""While one generation of credentials takes the place of another: who shows what, and who takes it."""
