"""The video autoencoder: module, crops and finish."""
