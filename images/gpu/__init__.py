"""What a GPU node needs below the engine."""
