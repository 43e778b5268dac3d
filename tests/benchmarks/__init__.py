"""Figures that this project claims, measured: `make bench` runs them all."""
