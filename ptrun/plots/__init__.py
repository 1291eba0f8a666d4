"""Pictures of a run, drawn from the files of its folder alone."""
