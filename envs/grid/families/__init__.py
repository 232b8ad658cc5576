"""MiniGrid's families of tasks, a file each: the layout kernel and the builder that registration names."""
