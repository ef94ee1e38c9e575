"""Trainers: they turn rows and parameters into weights. One module with a `train` each."""
