"""Videos that come in other ways than as a folder of files: as folders of frames, and in the cells of tables."""
