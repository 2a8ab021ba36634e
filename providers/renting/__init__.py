"""How one machine is rented so that none is lost: the same for every cloud."""
