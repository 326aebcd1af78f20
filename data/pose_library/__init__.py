"""The built-in pose library: named actions of one to three people, made by a kinematic model (our own work)."""
