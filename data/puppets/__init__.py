"""Puppets: pictures of illustrated people, each with an identity, a pose and words, drawn by this package."""
