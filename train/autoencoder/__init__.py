"""The video autoencoder: module and crops."""
