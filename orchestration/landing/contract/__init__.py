"""What a world says about its sources, and the laws it keeps."""
